// The kernels in OpenCL C, line by line as in WGSL. Arguments are the WGSL's bindings in order.

typedef struct { uint n; float a; } Saxpy;

__kernel void saxpy(__global const float *x, __global float *y, __constant Saxpy *params)
{
    const uint i = (get_group_id(1) * get_num_groups(0) + get_group_id(0)) * 256 + get_local_id(0);
    if (i < params->n)
        y[i] = params->a * x[i] + y[i];
}

__kernel void reduce(__global const float *x, __global float *sums)
{
    __local float tile[256];
    const uint lane = get_local_id(0);
    const uint group = get_group_id(1) * get_num_groups(0) + get_group_id(0);
    tile[lane] = x[group * 256 + lane];
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint step = 128; step > 0; step /= 2) {
        if (lane < step)
            tile[lane] += tile[lane + step];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    if (lane == 0)
        sums[group] = tile[0];
}

__kernel void matmul(__global const float *a, __global const float *b, __global float *c, __constant uint *side)
{
    __local float tile_a[256];
    __local float tile_b[256];
    const uint n = *side, x = get_global_id(0), y = get_global_id(1), lx = get_local_id(0), ly = get_local_id(1);
    float sum = 0.0f;
    for (uint tile = 0; tile < n / 16; tile++) {
        tile_a[ly * 16 + lx] = a[y * n + tile * 16 + lx];
        tile_b[ly * 16 + lx] = b[(tile * 16 + ly) * n + x];
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint k = 0; k < 16; k++)
            sum += tile_a[ly * 16 + k] * tile_b[k * 16 + lx];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    c[y * n + x] = sum;
}

__kernel void histogram(__global const uint *values, __global uint *bins, __constant uint *n)
{
    __local uint counts[256];
    const uint lane = get_local_id(0);
    // OpenCL does not zero local memory.
    counts[lane] = 0;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint lap = 0; lap < 64; lap++) {
        const uint i = get_group_id(0) * 16384 + lap * 256 + lane;
        if (i < *n)
            atomic_inc(&counts[values[i] & 255]);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    atomic_add(&bins[lane], counts[lane]);
}

typedef struct { uint side; float dx, dy; } Mandelbrot;

__kernel void mandelbrot(__global uint *iterations, __constant Mandelbrot *params)
{
    const float cx = get_global_id(0) * params->dx - 2.0f, cy = get_global_id(1) * params->dy - 1.0f;
    float x = 0.0f, y = 0.0f;
    uint count = 0;
    while (count < 256) {
        const float xx = x * x, yy = y * y;
        if (xx + yy > 4.0f)
            break;
        y = 2.0f * x * y + cy;
        x = xx - yy + cx;
        count++;
    }
    iterations[get_global_id(1) * params->side + get_global_id(0)] = count;
}
