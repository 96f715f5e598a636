// An upscaler for pixel art with a compute shader of its own: pixels keep their edges at any factor, and only the seams
// between them are smoothed, by one pixel of the result.
#include <pumice/sdk_graph.hpp>

#include <cstring>

namespace {
using namespace pumice::sdk;

constexpr const char* kShader = R"(#version 460
layout(local_size_x = 64) in;
layout(std430, set = 0, binding = 0) readonly buffer X { vec4 x[]; };
layout(std430, set = 0, binding = 1) writeonly buffer Y { vec4 y[]; };
layout(push_constant) uniform Push { ivec2 from, to; vec2 stride, sharpness; };

vec4 at(ivec2 p) { p = clamp(p, ivec2(0), from - 1); return x[p.y * from.x + p.x]; }
// precise, + - and * alone: the same bits on every device (mix() and a division are not).
vec4 blend(vec4 a, vec4 b, float t) { precise vec4 v = a + (b - a) * t; return v; }

void main() {
    const ivec2 p = ivec2(gl_GlobalInvocationID.xy);
    if (p.x >= to.x) return;
    precise vec2 place = (vec2(p) + 0.5) * stride - 0.5;
    const vec2 corner = floor(place);
    precise vec2 ramp = (place - corner - 0.5) * sharpness + 0.5;
    const vec2 seam = clamp(ramp, 0.0, 1.0);
    const ivec2 c = ivec2(corner);
    const vec4 top = blend(at(c), at(c + ivec2(1, 0)), seam.x);
    const vec4 bottom = blend(at(c + ivec2(0, 1)), at(c + ivec2(1, 1)), seam.x);
    y[p.y * to.x + p.x] = blend(top, bottom, seam.y);
}
)";

struct Push {
    std::int32_t from_x, from_y, to_x, to_y;
    float stride_x, stride_y, sharpness_x, sharpness_y;
};

const pumice_param kSmooth = {sizeof(pumice_param), PUMICE_PARAM_FLOAT, "smoothness", "how wide seams are", "pixels",
                              0.1, 4, 0.1, 1, nullptr, nullptr};
const pumice_param* const kParams[] = {&kSmooth};
const pumice_upscaler_descriptor kUpscaler = {sizeof(pumice_upscaler_descriptor), 0, "my_pixels", "My pixels",
                                              "pixel art with sharp edges", 4, 1, 0, kParams};

struct MyPixels {
    static const pumice_plugin_descriptor descriptor;
    static const void* get_extension(pumice_plugin*, const char* id);
    pumice_sdk_status init(const pumice_host* from) { return host = from, PUMICE_SDK_OK; }
    const pumice_host* host = nullptr;
};

pumice_sdk_status run(pumice_plugin* plugin, std::uint32_t, const pumice_upscaler_call* call) {
    return guarded([&] {
        Job job(SinglePlugin<MyPixels>::of(plugin).host);
        const Picture in(job, call->in);
        Picture out(job, call->out);
        const pumice_kernel kernel = make_kernel(job, "my_pixels.comp", kShader, 1, 1, sizeof(Push));
        const double x = 1.0 * in.width() / out.width(), y = 1.0 * in.height() / out.height();
        const double smoothness = call->params[0].number;
        const Push push = {int(in.width()), int(in.height()), int(out.width()),          int(out.height()),
                           float(x),        float(y),         float(1 / x / smoothness), float(1 / y / smoothness)};
        Program program(job, "my pixels", [&](Graph& g) {
            const pumice_shape shape = {1, out.height(), out.width(), 4};
            g.output(g.append(kernel, {g.input(in.height(), in.width(), 4)}, shape, &push, (out.width() + 63) / 64,
                              out.height()));
        });
        program.write(in, 0, 0);
        program.run();
        program.read(out, 0, 0, out.width(), out.height(), 0, 0, PUMICE_CHANNELS_RGBA);
        job.step(1, 1);
        return job.status();
    });
}

const void* MyPixels::get_extension(pumice_plugin*, const char* id) {
    static const pumice_upscaler_1 upscaler = {
        sizeof(pumice_upscaler_1), 1, [](pumice_plugin*, std::uint32_t i) { return i == 0 ? &kUpscaler : nullptr; },
        nullptr, run};
    return std::strcmp(id, PUMICE_UPSCALER_1) == 0 ? &upscaler : nullptr;
}

const pumice_plugin_descriptor MyPixels::descriptor = {
    sizeof(pumice_plugin_descriptor), 0, "org.example.my-pixels", "My pixels", "1.0.0", "me", "MIT", "an example"};

}  // namespace

extern "C" PUMICE_SDK_EXPORT const pumice_plugin_entry_1 pumice_plugin_entry = SinglePlugin<MyPixels>::entry();
