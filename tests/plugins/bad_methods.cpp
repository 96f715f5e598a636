// A plugin with one upscaler, one method of guidance and one kind of control, of which one has a fault: which,
// PLUGIN_FAULT says ("upscaler_throws"). Built once a fault (CMakeLists.txt); of "methods_none" all are sound.
#include <csignal>
#include <cstring>
#include <stdexcept>

#include "pumice/sdk_graph.hpp"

namespace {
using namespace pumice::sdk;

bool fault(const char* name) {
    return std::strcmp(PLUGIN_FAULT, name) == 0;
}

/// What all kinds can do wrong.
bool fails(const std::string& kind, const pumice_host* host) {
    const std::string of = PLUGIN_FAULT;
    if (of == kind + "_crashes") std::raise(SIGSEGV);
    if (of == kind + "_throws") throw std::runtime_error("no more");
    if (of != kind + "_fails") return false;
    host->set_error(host, "it is\ntoo much");
    return true;
}

const char kName[] = "test_" PLUGIN_FAULT;

struct Methods {
    static const pumice_plugin_descriptor descriptor;
    static const void* get_extension(pumice_plugin*, const char* id);
    pumice_sdk_status init(const pumice_host* from);
    const pumice_host* host = nullptr;
    pumice_kernel kernel = 0;
};

Methods& self(pumice_plugin* plugin) {
    return SinglePlugin<Methods>::of(plugin);
}

/// A shader that is wrong in its second line, compiled when the instance is made: where there is a device.
pumice_sdk_status Methods::init(const pumice_host* from) {
    host = from;
    if (!fault("init_miscompiles") || !find_extension<pumice_host_kernel_1>(from, PUMICE_HOST_KERNEL_1))
        return PUMICE_SDK_OK;
    Job job(from);
    kernel = make_kernel(job, "broken.comp", "#version 460\nvoid main() { wrong; }\n", 1, 1, 0);
    return job.status();
}

// ---- the upscaler: each pixel is the nearest one of the picture's, on the CPU; told of as two halves ----

const bool kNeedsModel = fault("upscaler_lies");
const pumice_upscaler_descriptor kUpscaler = {sizeof(pumice_upscaler_descriptor),
                                              kNeedsModel ? PUMICE_UPSCALER_NEEDS_MODEL : 0,
                                              kName,
                                              "Test",
                                              "a test",
                                              kNeedsModel ? 0.0 : 2.0,
                                              0,
                                              0,
                                              nullptr};

void enlarge(const Picture& in, const Picture& out, std::uint32_t from, std::uint32_t to) {
    const std::size_t size = in.channels() * (in.format() >= PUMICE_PICTURE_RGB32F ? 4 : 1);
    for (std::uint32_t y = from; y < to; ++y)
        for (std::uint32_t x = 0; x < out.width(); ++x) {
            std::uint8_t* pixel = out.row(y) + x * size;
            std::memcpy(pixel,
                        in.row(static_cast<std::uint32_t>(std::uint64_t{y} * in.height() / out.height())) +
                            std::uint64_t{x} * in.width() / out.width() * size,
                        size);
            if (fault("upscaler_opaque") && in.has_alpha()) pixel[size - 1] = 255;
        }
}

pumice_sdk_status run_upscaler(pumice_plugin* plugin, std::uint32_t, const pumice_upscaler_call* call) {
    const pumice_host* host = self(plugin).host;
    if (fails("upscaler", host)) return PUMICE_SDK_UNSUPPORTED;
    const auto* image = find_extension<pumice_host_image_1>(host, PUMICE_HOST_IMAGE_1);
    const auto* progress = find_extension<pumice_host_progress_1>(host, PUMICE_HOST_PROGRESS_1);
    if (!image || !progress) return PUMICE_SDK_MISSING_FEATURE;
    Job job(host, Job::Needs::pictures);
    const Picture in(job, call->in), out(job, call->out);
    const std::uint32_t half = out.height() / 2;
    if (!job.ok()) return job.status();
    enlarge(in, out, 0, half);
    if (!job.step(1, 2) && !fault("upscaler_swallows")) return job.status();
    if (!fault("upscaler_half")) enlarge(in, out, half, out.height());
    if (fault("upscaler_writes_past")) std::memset(out.row(out.height()), 1, 100);
    if (fault("upscaler_writes_input")) in.row(0)[0] ^= 1;
    static std::uint8_t runs = 0;
    if (fault("upscaler_remembers")) out.row(0)[0] = ++runs;
    if (fault("upscaler_keeps")) {
        pumice_picture kept = 0;
        job.take(image->create(host, PUMICE_PICTURE_RGB8, 4, 4, &kept));
    }
    if (!job.step(2, 2) && !fault("upscaler_swallows")) return job.status();
    return PUMICE_SDK_OK;
}

pumice_sdk_status inspect(pumice_plugin*, std::uint32_t, const char*, double* scale) {
    *scale = 1000;
    return PUMICE_SDK_OK;
}

// ---- the method of guidance: classifier-free ----

const pumice_guidance_descriptor kGuidance = {
    sizeof(pumice_guidance_descriptor), 0, kName, "Test", "a test", 0, 0, nullptr};

pumice_sdk_status run_guidance(pumice_plugin* plugin, std::uint32_t, const pumice_guidance_call* call) {
    const pumice_host* host = self(plugin).host;
    if (fails("guidance", host)) return PUMICE_SDK_UNSUPPORTED;
    const auto* tensor = find_extension<pumice_host_tensor_1>(host, PUMICE_HOST_TENSOR_1);
    if (!tensor) return PUMICE_SDK_MISSING_FEATURE;
    const double s = call->guidance_scale;
    const pumice_tensor_term terms[] = {{s, call->cond, 0}, {1 - s, call->uncond, 0}};
    return tensor->combine(host, fault("guidance_writes_x") ? call->x : call->denoised, terms, 2);
}

// ---- the kind of control: what it was given is added to the first block; its file is a ControlNet's ----

const pumice_control_descriptor kControl = {
    sizeof(pumice_control_descriptor), 0, kName, "Test", "a test", 0, 0, nullptr};

/// Adds one to what it reads, which it is not to write.
constexpr const char* kWriting = R"(#version 460
layout(local_size_x = 1) in;
layout(std430, set = 0, binding = 0) buffer X { float x[]; };
layout(std430, set = 0, binding = 1) writeonly buffer Y { float y[]; };
void main() {
    x[0] = x[0] + 1.0;
    for (int i = 0; i < 4; ++i) y[i] = 0.0;
}
)";

pumice_sdk_status open_control(pumice_plugin* plugin, std::uint32_t, const pumice_control_model* model) {
    return guarded([&] {
        Job job(self(plugin).host);
        const WeightFile file(job, model->path);
        if (job.ok() && !fault("control_takes_all") && !file.has("control_model.input_hint_block.0.weight"))
            job.fail(PUMICE_SDK_UNSUPPORTED, "it is none of this kind");
        if (job.ok() && fault("control_writes"))
            self(plugin).kernel = make_kernel(job, "writing.comp", kWriting, 1, 1, 0);
        return job.status();
    });
}

pumice_sdk_status prepare(pumice_plugin* plugin, std::uint32_t, const pumice_control_prepare* call) {
    Job job(self(plugin).host);
    Graph g(job, call->graph);
    const pumice_shape shape = g.shape(call->picture);
    pumice_resample_options o{};
    o.method = PUMICE_RESAMPLE_NEAREST;
    o.rows = shape.h / 8, o.columns = shape.w / 8;
    const pumice_node small = g.resample(call->picture, o);
    if (job.ok()) job.take(job.graph->check(job.host, call->graph));
    return job.ok() ? call->keep(call, small) : job.status();
}

pumice_sdk_status step(pumice_plugin* plugin, std::uint32_t, const pumice_control_step* call) {
    const pumice_host* host = self(plugin).host;
    if (fails("control", host)) return PUMICE_SDK_UNSUPPORTED;
    if (call->kept_count != 1) return PUMICE_SDK_INVALID_ARGUMENT;
    Job job(host);
    Graph g(job, call->graph);
    if (fault("control_writes")) g.append(self(plugin).kernel, {call->x}, {1, 1, 1, 4}, nullptr, 1);
    // 4 channels, eight times.
    pumice_node h = call->kept[0];
    for (int i = fault("control_shape") ? 1 : 0; i < 3; ++i) h = g.concat(h, h);
    if (job.ok() && !fault("control_swallows")) job.take(job.graph->check(job.host, call->graph));
    if (!job.ok()) return job.status();
    return call->add(call, fault("control_place") ? "elsewhere" : "input_blocks.0", PUMICE_CONTROL_TO_OUTPUT, h, 1);
}

const void* Methods::get_extension(pumice_plugin*, const char* id) {
    static const pumice_upscaler_1 upscaler = {
        sizeof(pumice_upscaler_1), 1, [](pumice_plugin*, std::uint32_t i) { return i == 0 ? &kUpscaler : nullptr; },
        inspect, run_upscaler};
    static const pumice_guidance_1 guidance = {
        sizeof(pumice_guidance_1), 1, [](pumice_plugin*, std::uint32_t i) { return i == 0 ? &kGuidance : nullptr; },
        run_guidance, nullptr};
    static const pumice_control_1 control = {
        sizeof(pumice_control_1),
        1,
        [](pumice_plugin*, std::uint32_t i) { return i == 0 ? &kControl : nullptr; },
        open_control,
        prepare,
        step};
    if (std::strcmp(id, PUMICE_UPSCALER_1) == 0) return &upscaler;
    if (std::strcmp(id, PUMICE_GUIDANCE_1) == 0) return &guidance;
    return std::strcmp(id, PUMICE_CONTROL_1) == 0 ? &control : nullptr;
}

const pumice_plugin_descriptor Methods::descriptor = {
    sizeof(pumice_plugin_descriptor), 0, "test." PLUGIN_FAULT, "Test", "1.0", "", "MIT", "a test"};

}  // namespace

extern "C" {
PUMICE_SDK_EXPORT extern const pumice_plugin_entry_1 pumice_plugin_entry = SinglePlugin<Methods>::entry();
}
