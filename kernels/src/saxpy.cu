// saxpy: y[i] = a * x[i] + y[i] for i < n.
// Twins: saxpy.rs (this folder), shaders/saxpy.wgsl
//
// A workgroup takes one tile of 1024 elements, an invocation four of them, 256 apart, so that
// neighbours read neighbours.

typedef unsigned int u32;

#define TILE 1024u

extern "C" __global__ void __launch_bounds__(256)
saxpy(const float* x, float* y, u32 x_len, u32 y_len, u32 n, float a) {
    const u32 lane = threadIdx.x;
    n = min(n, min(x_len, y_len));
    const u32 tile = blockIdx.y * gridDim.x + blockIdx.x;
    // `tile * TILE` may only be formed where it is below n: a folded launch has more workgroups than
    // tiles, and the product would wrap.
    if (tile < n / TILE) {
        const u32 i = tile * TILE + lane;
        const float x0 = x[i], x1 = x[i + 256u], x2 = x[i + 512u], x3 = x[i + 768u];
        const float y0 = y[i], y1 = y[i + 256u], y2 = y[i + 512u], y3 = y[i + 768u];
        y[i] = a * x0 + y0;
        y[i + 256u] = a * x1 + y1;
        y[i + 512u] = a * x2 + y2;
        y[i + 768u] = a * x3 + y3;
    } else if (tile == n / TILE) {
        for (u32 rest = lane; rest < n % TILE; rest += 256u) {
            const u32 i = tile * TILE + rest;
            y[i] = a * x[i] + y[i];
        }
    }
}
