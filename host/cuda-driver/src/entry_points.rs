//! The table of forwarders: one C function for each entry point of the driver that `cust` names, and
//! the few that wharf calls beside them.
//!
//! A forwarder has the name and the binary interface of the entry point, so that the linker takes it
//! for the driver's own; it resolves exactly that name (versions such as `_v2` are part of it) on its
//! first call. Names and argument lists: `cuda.h` of CUDA 11, as in `cust_raw` 0.11.3.

#![expect(unsafe_code, reason = "the driver's C interface is exported here under the driver's own names")]

use std::ffi::{c_char, c_int, c_uchar, c_uint, c_ushort, c_void};

use crate::{code, driver::Entry};

/// Any pointer or opaque handle: to forward a call only its width matters.
type Ptr = *mut c_void;

macro_rules! forwarders {
    ($(fn $name:ident($($arg:ident: $type:ty),*);)*) => {
        /// The names that are forwarded, as the driver exports them.
        pub const ENTRY_POINTS: &[&str] = &[$(stringify!($name),)* "cuGetErrorString"];

        $(
            // SAFETY: the name is the driver's, and a program that links this crate has no other
            // definition of it: the linker reports a second one.
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $name($($arg: $type),*) -> c_uint {
                static ENTRY: Entry = Entry::new(concat!(stringify!($name), "\0"));
                match ENTRY.address() {
                    // SAFETY: the address is that of the entry point of this name, whose arguments
                    // are those of the table; the caller keeps its promises as to their values.
                    Ok(address) => unsafe {
                        let call: unsafe extern "C" fn($($type),*) -> c_uint =
                            std::mem::transmute(address);
                        code::known(call($($arg),*))
                    },
                    Err(code) => code,
                }
            }
        )*
    };
}

forwarders! {
    // Driver and devices.
    fn cuDeviceGet(device: Ptr, ordinal: c_int);
    fn cuDeviceGetAttribute(pi: Ptr, attrib: c_uint, dev: c_int);
    fn cuDeviceGetCount(count: Ptr);
    fn cuDeviceGetName(name: Ptr, len: c_int, dev: c_int);
    fn cuDeviceGetPCIBusId(pci_bus_id: Ptr, len: c_int, dev: c_int);
    fn cuDeviceGetUuid(uuid: Ptr, dev: c_int);
    fn cuDeviceTotalMem_v2(bytes: Ptr, dev: c_int);
    fn cuDriverGetVersion(driver_version: Ptr);
    fn cuGetErrorName(error: c_uint, p_str: Ptr);
    fn cuInit(flags: c_uint);

    // Contexts.
    fn cuCtxCreate_v2(pctx: Ptr, flags: c_uint, dev: c_int);
    fn cuCtxDestroy_v2(ctx: Ptr);
    fn cuCtxGetApiVersion(ctx: Ptr, version: Ptr);
    fn cuCtxGetCacheConfig(pconfig: Ptr);
    fn cuCtxGetCurrent(pctx: Ptr);
    fn cuCtxGetDevice(device: Ptr);
    fn cuCtxGetFlags(flags: Ptr);
    fn cuCtxGetLimit(pvalue: Ptr, limit: c_uint);
    fn cuCtxGetSharedMemConfig(p_config: Ptr);
    fn cuCtxGetStreamPriorityRange(least_priority: Ptr, greatest_priority: Ptr);
    fn cuCtxPopCurrent_v2(pctx: Ptr);
    fn cuCtxPushCurrent_v2(ctx: Ptr);
    fn cuCtxSetCacheConfig(config: c_uint);
    fn cuCtxSetCurrent(ctx: Ptr);
    fn cuCtxSetLimit(limit: c_uint, value: usize);
    fn cuCtxSetSharedMemConfig(config: c_uint);
    fn cuCtxSynchronize();
    fn cuDevicePrimaryCtxRelease_v2(dev: c_int);
    fn cuDevicePrimaryCtxReset_v2(dev: c_int);
    fn cuDevicePrimaryCtxRetain(pctx: Ptr, dev: c_int);
    fn cuDevicePrimaryCtxSetFlags_v2(dev: c_int, flags: c_uint);

    // Memory.
    fn cuMemAdvise(dev_ptr: u64, count: usize, advice: c_uint, device: c_int);
    fn cuMemAllocAsync(dptr: Ptr, bytesize: usize, h_stream: Ptr);
    fn cuMemAllocHost_v2(pp: Ptr, bytesize: usize);
    fn cuMemAllocManaged(dptr: Ptr, bytesize: usize, flags: c_uint);
    fn cuMemAlloc_v2(dptr: Ptr, bytesize: usize);
    fn cuMemFreeAsync(dptr: u64, h_stream: Ptr);
    fn cuMemFreeHost(p: Ptr);
    fn cuMemFree_v2(dptr: u64);
    fn cuMemGetInfo_v2(free: Ptr, total: Ptr);
    fn cuMemHostAlloc(pp: Ptr, bytesize: usize, flags: c_uint);
    fn cuMemHostRegister_v2(p: Ptr, bytesize: usize, flags: c_uint);
    fn cuMemHostUnregister(p: Ptr);
    fn cuMemPrefetchAsync(dev_ptr: u64, count: usize, dst_device: c_int, h_stream: Ptr);

    // Copies and fills.
    fn cuMemcpy2D_v2(p_copy: Ptr);
    fn cuMemcpyAtoH_v2(dst_host: Ptr, src_array: Ptr, src_offset: usize, byte_count: usize);
    fn cuMemcpyDtoDAsync_v2(dst_device: u64, src_device: u64, byte_count: usize, h_stream: Ptr);
    fn cuMemcpyDtoD_v2(dst_device: u64, src_device: u64, byte_count: usize);
    fn cuMemcpyDtoHAsync_v2(dst_host: Ptr, src_device: u64, byte_count: usize, h_stream: Ptr);
    fn cuMemcpyDtoH_v2(dst_host: Ptr, src_device: u64, byte_count: usize);
    fn cuMemcpyHtoA_v2(dst_array: Ptr, dst_offset: usize, src_host: Ptr, byte_count: usize);
    fn cuMemcpyHtoDAsync_v2(dst_device: u64, src_host: Ptr, byte_count: usize, h_stream: Ptr);
    fn cuMemcpyHtoD_v2(dst_device: u64, src_host: Ptr, byte_count: usize);
    fn cuMemsetD16Async(dst_device: u64, us: c_ushort, n: usize, h_stream: Ptr);
    fn cuMemsetD16_v2(dst_device: u64, us: c_ushort, n: usize);
    fn cuMemsetD32Async(dst_device: u64, ui: c_uint, n: usize, h_stream: Ptr);
    fn cuMemsetD32_v2(dst_device: u64, ui: c_uint, n: usize);
    fn cuMemsetD8Async(dst_device: u64, uc: c_uchar, n: usize, h_stream: Ptr);
    fn cuMemsetD8_v2(dst_device: u64, uc: c_uchar, n: usize);

    // Streams and events.
    fn cuEventCreate(ph_event: Ptr, flags: c_uint);
    fn cuEventDestroy_v2(h_event: Ptr);
    fn cuEventElapsedTime(p_milliseconds: Ptr, h_start: Ptr, h_end: Ptr);
    fn cuEventQuery(h_event: Ptr);
    fn cuEventRecord(h_event: Ptr, h_stream: Ptr);
    fn cuEventSynchronize(h_event: Ptr);
    fn cuLaunchHostFunc(h_stream: Ptr, function: Ptr, user_data: Ptr);
    fn cuStreamCreateWithPriority(ph_stream: Ptr, flags: c_uint, priority: c_int);
    fn cuStreamDestroy_v2(h_stream: Ptr);
    fn cuStreamGetFlags(h_stream: Ptr, flags: Ptr);
    fn cuStreamGetPriority(h_stream: Ptr, priority: Ptr);
    fn cuStreamQuery(h_stream: Ptr);
    fn cuStreamSynchronize(h_stream: Ptr);
    fn cuStreamWaitEvent(h_stream: Ptr, h_event: Ptr, flags: c_uint);

    // Modules, linking and launches.
    fn cuFuncGetAttribute(pi: Ptr, attrib: c_uint, hfunc: Ptr);
    fn cuFuncSetAttribute(hfunc: Ptr, attrib: c_uint, value: c_int);
    fn cuFuncSetCacheConfig(hfunc: Ptr, config: c_uint);
    fn cuFuncSetSharedMemConfig(hfunc: Ptr, config: c_uint);
    fn cuLaunchKernel(f: Ptr, grid_dim_x: c_uint, grid_dim_y: c_uint, grid_dim_z: c_uint, block_dim_x: c_uint, block_dim_y: c_uint, block_dim_z: c_uint, shared_mem_bytes: c_uint, h_stream: Ptr, kernel_params: Ptr, extra: Ptr);
    fn cuLinkAddData_v2(state: Ptr, kind: c_uint, data: Ptr, size: usize, name: Ptr, num_options: c_uint, options: Ptr, option_values: Ptr);
    fn cuLinkComplete(state: Ptr, cubin_out: Ptr, size_out: Ptr);
    fn cuLinkCreate_v2(num_options: c_uint, options: Ptr, option_values: Ptr, state_out: Ptr);
    fn cuLinkDestroy(state: Ptr);
    fn cuModuleGetFunction(hfunc: Ptr, hmod: Ptr, name: Ptr);
    fn cuModuleGetGlobal_v2(dptr: Ptr, bytes: Ptr, hmod: Ptr, name: Ptr);
    fn cuModuleLoad(module: Ptr, fname: Ptr);
    fn cuModuleLoadData(module: Ptr, image: Ptr);
    fn cuModuleLoadDataEx(module: Ptr, image: Ptr, num_options: c_uint, options: Ptr, option_values: Ptr);
    fn cuModuleUnload(hmod: Ptr);
    fn cuOccupancyAvailableDynamicSMemPerBlock(dynamic_smem_size: Ptr, func: Ptr, num_blocks: c_int, block_size: c_int);
    fn cuOccupancyMaxActiveBlocksPerMultiprocessor(num_blocks: Ptr, func: Ptr, block_size: c_int, dynamic_smem_size: usize);
    fn cuOccupancyMaxPotentialBlockSize(min_grid_size: Ptr, block_size: Ptr, func: Ptr, block_size_to_dynamic_smem_size: Ptr, dynamic_smem_size: usize, block_size_limit: c_int);

    // Graphs.
    fn cuGraphAddKernelNode(ph_graph_node: Ptr, h_graph: Ptr, dependencies: Ptr, num_dependencies: usize, node_params: Ptr);
    fn cuGraphCreate(ph_graph: Ptr, flags: c_uint);
    fn cuGraphDebugDotPrint(h_graph: Ptr, path: Ptr, flags: c_uint);
    fn cuGraphDestroy(h_graph: Ptr);
    fn cuGraphExecDestroy(h_graph_exec: Ptr);
    fn cuGraphGetEdges(h_graph: Ptr, from: Ptr, to: Ptr, num_edges: Ptr);
    fn cuGraphGetNodes(h_graph: Ptr, nodes: Ptr, num_nodes: Ptr);
    fn cuGraphInstantiateWithFlags(ph_graph_exec: Ptr, h_graph: Ptr, flags: u64);
    fn cuGraphKernelNodeGetParams(h_node: Ptr, node_params: Ptr);
    fn cuGraphLaunch(h_graph_exec: Ptr, h_stream: Ptr);
    fn cuGraphNodeGetType(h_node: Ptr, kind: Ptr);
    fn cuStreamBeginCapture_v2(h_stream: Ptr, mode: c_uint);
    fn cuStreamEndCapture(h_stream: Ptr, ph_graph: Ptr);

    // Arrays, textures, surfaces, imported memory: named by `cust`, not used here.
    fn cuArray3DCreate_v2(p_handle: Ptr, p_allocate_array: Ptr);
    fn cuArray3DGetDescriptor_v2(p_array_descriptor: Ptr, h_array: Ptr);
    fn cuArrayDestroy(h_array: Ptr);
    fn cuDestroyExternalMemory(ext_mem: Ptr);
    fn cuExternalMemoryGetMappedBuffer(dev_ptr: Ptr, ext_mem: Ptr, buffer_desc: Ptr);
    fn cuImportExternalMemory(ext_mem_out: Ptr, mem_handle_desc: Ptr);
    fn cuSurfObjectCreate(p_surf_object: Ptr, p_res_desc: Ptr);
    fn cuSurfObjectDestroy(surf_object: u64);
    fn cuSurfObjectGetResourceDesc(p_res_desc: Ptr, surf_object: u64);
    fn cuTexObjectCreate(p_tex_object: Ptr, p_res_desc: Ptr, p_tex_desc: Ptr, p_res_view_desc: Ptr);
    fn cuTexObjectDestroy(tex_object: u64);
    fn cuTexObjectGetResourceDesc(p_res_desc: Ptr, tex_object: u64);
    fn cuTexObjectGetResourceViewDesc(p_res_view_desc: Ptr, tex_object: u64);
}

/// The text of an error code. Without a driver the codes that this crate answers with still have one,
/// because `cust` cannot print an error otherwise.
// SAFETY: as for the table.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuGetErrorString(error: c_uint, text: *mut *const c_char) -> c_uint {
    static ENTRY: Entry = Entry::new("cuGetErrorString\0");
    match ENTRY.address() {
        // SAFETY: as for the table.
        Ok(address) => unsafe {
            let call: unsafe extern "C" fn(c_uint, *mut *const c_char) -> c_uint = std::mem::transmute(address);
            code::known(call(error, text))
        },
        Err(_) if text.is_null() => code::INVALID_VALUE,
        Err(_) => {
            // SAFETY: not null, and the caller promises that it may be written.
            unsafe { *text = code::text(error).as_ptr() };
            code::SUCCESS
        }
    }
}
