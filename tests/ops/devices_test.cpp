// Choosing and splitting for devices that are not here: every operator over the shapes of real layers gives dispatches
// that the device can do, which together write all of the output.
#include <algorithm>
#include <map>

#include "catch.hpp"
#include "devices.hpp"
#include "graph/plan.hpp"
#include "graph/stream_plan.hpp"
#include "ops/attention.hpp"
#include "ops/gemm.hpp"
#include "ops/ops.hpp"

using namespace pumice;
using namespace pumice::test;

namespace {

Weight weight(std::uint32_t n, std::uint32_t k, std::uint32_t kernel, DType type) {
    Weight w;
    w.name = "weight";
    w.dtype = type;
    w.n = n;
    w.k = k;
    w.kernel_h = w.kernel_w = kernel;
    w.range = {Buffer::placeholder(), 0, std::uint64_t(w.n_padded()) * w.k_padded() * w.taps() * size_of(type)};
    return w;
}

Weight vector(std::uint32_t n) {
    Weight w = weight(n, 1, 1, DType::f32);
    w.layout = WeightLayout::vector;
    w.range.size = std::uint64_t(w.n_padded()) * 4;
    return w;
}

TensorId input(Graph& g, const Shape& shape) {
    return g.external(shape, g.activation(), {Buffer::placeholder(), 0, shape.elements() * size_of(g.activation())});
}

void check_dispatch(const Dispatch& d, const Capabilities& caps, bool& sound) {
    for (int i = 0; i < 3; ++i) sound = sound && d.groups[i] > 0 && d.groups[i] <= caps.max_workgroup_count[i];
    sound = sound && d.bindings.size() <= caps.max_storage_buffers && d.push.size() * 4 <= caps.max_push_constants;
    for (const Binding& b : d.bindings)
        sound = sound && b.size > 0 && b.size <= caps.max_storage_buffer_range &&
                b.offset % caps.storage_offset_alignment == 0;
    const std::uint32_t size = d.kernel.required_subgroup_size;
    sound = sound && (size == 0 || (size >= caps.min_subgroup_size && size <= caps.max_subgroup_size));
    if (!caps.storage_16bit) sound = sound && d.kernel.module.find(".f16") == std::string::npos;
    sound = sound && !embedded_shader(d.kernel.module).empty();
}

/// Returns how many dispatches there are.
std::size_t check_graph(const Graph& g, TensorId out) {
    INFO((g.error() ? g.error()->message : std::string()));
    REQUIRE_FALSE(g.error());
    REQUIRE(out);
    bool sound = true;
    std::size_t dispatches = 0;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> written;
    for (const Node& node : g.nodes())
        for (const Dispatch& d : node.dispatches) {
            check_dispatch(d, g.caps(), sound);
            ++dispatches;
            for (const Binding& b : d.bindings)
                if (b.tensor == out && b.access != Access::read) written.emplace_back(b.offset, b.offset + b.size);
        }
    CHECK(sound);
    std::sort(written.begin(), written.end());
    std::uint64_t end = 0;
    bool gap = false;
    for (const auto& [begin, last] : written) {
        gap = gap || begin > end;
        end = std::max(end, last);
    }
    CHECK_FALSE(gap);
    CHECK(end == g.info(out).bytes());
    return dispatches;
}

Precision precision_on(const Capabilities& caps) { return caps.storage_16bit ? Precision::fp16 : Precision::fp32; }

}  // namespace

TEST_CASE("operators split as every device needs it") {
    for (const Capabilities& caps : fake_devices())
        for (const Precision precision : {precision_on(caps), Precision::exact}) {
            INFO(caps.name << ", precision " << int(precision));
            const DType type = precision == Precision::fp16 ? DType::f16 : DType::f32;
            const auto graph = [&] { return Graph(caps, precision, 2000); };
            const Weight conv = weight(320, 320, 3, type), bias = vector(320);
            {  // UNet, 512x512, both halves of guidance
                Graph g = graph();
                check_graph(g, ops::conv2d(g, input(g, {2, 64, 64, 320}), conv, {.bias = &bias}));
            }
            {  // downsampling, ragged
                Graph g = graph();
                check_graph(g, ops::conv2d(g, input(g, {1, 63, 41, 320}), conv, {.bias = &bias, .stride = 2}));
            }
            {  // feed-forward of SD XL at 1024x1024
                Graph g = graph();
                const Weight wide = weight(1280, 5120, 1, type);
                check_graph(g, ops::linear(g, input(g, {2, 1, 1024, 5120}), wide));
            }
            {  // self-attention of 4096 tokens; the VAE's one head of 512
                Graph g = graph();
                const TensorId q = input(g, {2, 1, 4096, 320});
                check_graph(g, ops::attention(g, q, q, q, {.heads = 8}));
                Graph v = graph();
                const TensorId h = input(v, {1, 64, 64, 512});
                check_graph(v, ops::attention(v, h, h, h, {.heads = 1}));
                CHECK_FALSE(ops::attention_variants(caps, 40, type).empty());
                CHECK_FALSE(ops::attention_variants(caps, 512, type).empty());
            }
            {  // the VAE's largest tensors at 2048x2048: 2 GiB in f16, 4 GiB in f32
                Graph g = graph();
                const Weight last = weight(128, 256, 3, type), gamma = vector(256), beta = vector(256);
                const TensorId x = g.transient({1, 2048, 2048, 256}, type);
                const TensorId normed = ops::group_norm(g, x, gamma, beta, {.groups = 32, .eps = 1e-6f, .silu = true});
                const std::size_t dispatches = check_graph(g, normed);
                const std::uint64_t bytes = g.info(x).bytes();
                CHECK(dispatches >= 2 * (bytes / caps.max_storage_buffer_range));  // statistics, and their use
                const TensorId y = ops::conv2d(g, normed, last);
                check_graph(g, y);
                const TensorId small = g.transient({1, 1024, 1024, 256}, type);
                check_graph(g, ops::upsample_nearest(g, small, 2048, 2048));
            }
        }
}

TEST_CASE("what fits where: weights of SD 1.5 and XL on every device") {
    constexpr std::uint64_t kMiB = std::uint64_t(1) << 20;
    const auto layers = [](std::uint32_t count, std::uint64_t size) {
        WeightUses uses;
        for (std::uint32_t i = 0; i < count; ++i) {
            uses.sizes.push_back(size);
            uses.nodes.push_back({i});
        }
        return uses;
    };
    const WeightUses sd15 = layers(282, 6 * kMiB), xl = layers(780, 6 * kMiB);  // 1.7 and 4.6 GiB of f16
    std::map<std::string, std::pair<bool, bool>> whole;
    for (const Capabilities& caps : fake_devices()) {
        const std::uint64_t room = caps.heaps[0].size - 512 * kMiB;  // activations
        const auto small = plan_stream(sd15, room), large = plan_stream(xl, room);
        REQUIRE(small);
        REQUIRE(large);
        CHECK(small->bytes() <= room);
        CHECK(large->bytes() <= room);
        whole[caps.name] = {small->segments.empty(), large->segments.empty()};
    }
    const auto is = [&](const char* name, bool small, bool large) {
        INFO(name);
        CHECK((whole.at(name) == std::pair{small, large}));
    };
    is("Intel iGPU of 2 GiB", false, false);
    is("lavapipe", false, false);
    is("SwiftShader", false, false);
    is("Adreno", true, false);
    is("Apple through MoltenVK", true, true);
    is("Turing", true, true);
    is("Arc", true, true);
    is("RDNA 2", true, true);
    is("RDNA 3", true, true);
    is("Hopper", true, true);
}

TEST_CASE("memory for weights and activations is the device's own on every device") {
    for (const Capabilities& caps : fake_devices()) {
        INFO(caps.name);
        CHECK(missing_requirement(caps).empty());
        for (const Intent intent : {Intent::device, Intent::upload, Intent::readback, Intent::shared})
            CHECK_FALSE(memory_types_for(caps, intent).empty());
        CHECK(caps.memory_types[memory_types_for(caps, Intent::device).front()].device_local);
    }
}
