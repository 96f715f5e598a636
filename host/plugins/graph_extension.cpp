// pumice.graph/1: the operators of core/ops under handles.
#include <algorithm>
#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "ops/ops.hpp"
#include "plugins/device_session.hpp"
#include "plugins/plugin_program.hpp"
#include "plugins/session.hpp"

namespace pumice::plugins {
namespace {

Error wrong(const std::string& what) {
    return {Code::invalid_argument, what};
}

ops::Activation activation_of(Graph& g, std::uint32_t kind, float slope) {
    switch (kind) {
        case PUMICE_ACTIVATE_NONE:
            return ops::Activation::none;
        case PUMICE_ACTIVATE_SILU:
            return ops::Activation::silu;
        case PUMICE_ACTIVATE_GELU:
            return ops::Activation::gelu;
        case PUMICE_ACTIVATE_QUICK_GELU:
            return ops::Activation::quick_gelu;
        case PUMICE_ACTIVATE_RELU:
            return ops::Activation::relu;
        case PUMICE_ACTIVATE_LEAKY_RELU:
            // What is this small would read as the number of another activation.
            if (std::isfinite(slope) && (slope == 0 || std::fabs(slope) > 1e-30f)) return ops::leaky_relu(slope);
            g.fail(wrong(fmt::format("a leaky ReLU of slope {}", slope)));
            return ops::Activation::none;
        default:
            g.fail(wrong(fmt::format("{} is no activation", kind)));
            return ops::Activation::none;
    }
}

}  // namespace

/// What a call that appends sees: the graph, and its handles resolved.
class GraphCalls {
public:
    GraphCalls(DeviceSession& device, Building& building) : device_(device), building_(building), g(*building.graph) {}

    TensorId tensor(pumice_node node) {
        if (node != 0 && node <= g.tensors().size()) return {node - 1};
        if (node != 0) g.fail(wrong(fmt::format("there is no node {}", node)));
        return {};
    }
    const Weight& weight(pumice_weight handle) { return device_.weight(g, handle); }
    const Weight* optional(pumice_weight handle) { return handle ? &device_.weight(g, handle) : nullptr; }
    /// All of one type: the graph's, if they differ.
    void unite(std::initializer_list<TensorId*> all) {
        const auto missing = [](const TensorId* id) { return !*id; };
        if (std::any_of(all.begin(), all.end(), missing)) return;
        const DType first = g.dtype(**all.begin());
        if (std::all_of(all.begin(), all.end(), [&](const TensorId* id) { return g.dtype(*id) == first; })) return;
        for (TensorId* id : all)
            if (g.dtype(*id) != g.activation()) *id = ops::cast(g, *id, g.activation());
    }
    TensorId float32(TensorId id) { return id && g.dtype(id) != DType::f32 ? ops::cast(g, id, DType::f32) : id; }

    /// Resolves the graph and runs `work` (GraphCalls& → TensorId), unless the graph has failed.
    template <class Work>
    static pumice_node append(const pumice_host* host, pumice_graph graph, Work&& work) {
        pumice_node made = 0;
        Session& session = Session::of(host);
        session.serve([&]() -> Status {
            Building* building = session.device()->building(graph);
            if (!building) return wrong(fmt::format("pumice.graph/1: there is no graph {} now", graph));
            if (building->graph->error()) return {};
            GraphCalls calls(*session.device(), *building);
            const TensorId id = work(calls);
            if (id && !building->graph->error()) made = LentGraph::node(id);
            return {};
        });
        return made;
    }
    template <class Work>
    static pumice_sdk_status with_program(const pumice_host* host, pumice_program handle, Work&& work) {
        Session& session = Session::of(host);
        return session.serve([&]() -> Status {
            PluginProgram* program = session.device()->program(handle);
            if (!program) return wrong(fmt::format("pumice.graph/1: there is no program {}", handle));
            return work(*program);
        });
    }

    static pumice_sdk_status info(const pumice_host* host, pumice_graph_info* out);
    static pumice_sdk_status create(const pumice_host*, const pumice_program_options*, pumice_program*);
    static void release(const pumice_host*, pumice_program);
    static pumice_node linear(const pumice_host*, pumice_graph, pumice_node, const pumice_linear_options*);
    static pumice_node conv2d(const pumice_host*, pumice_graph, pumice_node, const pumice_conv2d_options*);
    static pumice_node combine(const pumice_host*, pumice_graph, const pumice_graph_term*, std::uint32_t);
    static pumice_node resample(const pumice_host*, pumice_graph, pumice_node, const pumice_resample_options*);

private:
    DeviceSession& device_;

public:
    Building& building_;
    Graph& g;
};

PluginProgram* DeviceSession::program(pumice_program handle) {
    return handle > 0 && handle <= programs_.size() ? programs_[handle - 1].get() : nullptr;
}

pumice_sdk_status GraphCalls::info(const pumice_host* host, pumice_graph_info* out) {
    Session& session = Session::of(host);
    return session.serve([&]() -> Status {
        if (!out || out->struct_size < sizeof(pumice_graph_info))
            return wrong("pumice.graph/1: info to NULL, or to a struct of a wrong size");
        const DeviceServices& services = session.device()->services();
        const Capabilities& caps = services.device->caps();
        Precision precision = services.precision;
        for (const auto& [handle, building] : session.device()->graphs_) precision = building.graph->precision();
        *out = {.struct_size = out->struct_size,
                .precision = precision == Precision::fp16    ? PUMICE_PRECISION_FLOAT16
                             : precision == Precision::exact ? PUMICE_PRECISION_EXACT_FLOAT32
                                                             : PUMICE_PRECISION_FLOAT32,
                .binding_bytes = caps.max_storage_buffer_range,
                .memory_bytes = services.device->allocator().device_bytes_free(),
                .storage_16bit = caps.storage_16bit ? 1u : 0u,
                .reserved = 0};
        return {};
    });
}

pumice_sdk_status GraphCalls::create(const pumice_host* host, const pumice_program_options* options,
                                     pumice_program* program) {
    Session& session = Session::of(host);
    return session.serve([&]() -> Status {
        if (!options || options->struct_size < sizeof(*options) || !options->build || !program)
            return wrong(
                "pumice.graph/1: create without options of the right size, a build function and a place for it");
        DeviceSession& device = *session.device();
        PUMICE_ASSIGN(auto made, PluginProgram::create(device, device.arena_, *options));
        auto place = std::find(device.programs_.begin(), device.programs_.end(), nullptr);
        if (place == device.programs_.end()) place = device.programs_.insert(place, nullptr);
        *place = std::move(made);
        *program = static_cast<pumice_program>(place - device.programs_.begin() + 1);
        return {};
    });
}

void GraphCalls::release(const pumice_host* host, pumice_program handle) {
    Session& session = Session::of(host);
    const Marked outside(session.marker(), false);
    if (session.device()->program(handle)) session.device()->programs_[handle - 1].reset();
}

pumice_node GraphCalls::linear(const pumice_host* host, pumice_graph graph, pumice_node x,
                               const pumice_linear_options* o) {
    return append(host, graph, [&](GraphCalls& c) -> TensorId {
        if (!o || o->struct_size < sizeof(*o))
            return c.g.fail(wrong("linear without options of the right size")), TensorId{};
        const Weight& w = c.weight(o->weight);
        const ops::LinearOptions options{c.optional(o->bias), c.tensor(o->residual),
                                         activation_of(c.g, o->activation, o->slope), o->float32 != 0};
        const TensorId in = c.tensor(x);
        return c.g.error() ? TensorId{} : ops::linear(c.g, in, w, options);
    });
}

pumice_node GraphCalls::conv2d(const pumice_host* host, pumice_graph graph, pumice_node x,
                               const pumice_conv2d_options* o) {
    return append(host, graph, [&](GraphCalls& c) -> TensorId {
        if (!o || o->struct_size < sizeof(*o))
            return c.g.fail(wrong("conv2d without options of the right size")), TensorId{};
        const Weight& w = c.weight(o->weight);
        ops::Conv2dOptions options;
        options.bias = c.optional(o->bias);
        options.stride = o->stride;
        options.pad_top = o->pad_top, options.pad_left = o->pad_left;
        options.pad_bottom = o->pad_bottom, options.pad_right = o->pad_right;
        options.channel_add = c.float32(c.tensor(o->channel_add));
        options.residual = c.tensor(o->residual);
        options.activation = activation_of(c.g, o->activation, o->slope);
        options.f32_output = o->float32 != 0;
        const TensorId in = c.tensor(x);
        return c.g.error() ? TensorId{} : ops::conv2d(c.g, in, w, options);
    });
}

pumice_node GraphCalls::combine(const pumice_host* host, pumice_graph graph, const pumice_graph_term* terms,
                                std::uint32_t count) {
    return append(host, graph, [&](GraphCalls& c) -> TensorId {
        constexpr std::uint32_t most = 4;
        if (!terms || count == 0 || count > most)
            return c.g.fail(wrong(fmt::format("combine of {} terms, not 1 to {}", count, most))), TensorId{};
        std::array<ops::Term, most> all;
        bool same = true;
        for (std::uint32_t i = 0; i < count; ++i) {
            all[i] = {c.tensor(terms[i].x), terms[i].weight};
            if (!all[i].x || !std::isfinite(terms[i].weight))
                return c.g.fail(
                           wrong(fmt::format("combine: term {} is node {} times {}", i, terms[i].x, terms[i].weight))),
                       TensorId{};
            same = same && c.g.dtype(all[i].x) == c.g.dtype(all[0].x);
        }
        for (std::uint32_t i = 0; i < count && !same; ++i)
            if (c.g.dtype(all[i].x) != c.g.activation()) all[i].x = ops::cast(c.g, all[i].x, c.g.activation());
        return ops::linear_combination(c.g, std::span(all.data(), count));
    });
}

pumice_node GraphCalls::resample(const pumice_host* host, pumice_graph graph, pumice_node x,
                                 const pumice_resample_options* o) {
    return append(host, graph, [&](GraphCalls& c) -> TensorId {
        if (!o || o->struct_size < sizeof(*o) || o->method > PUMICE_RESAMPLE_LANCZOS)
            return c.g.fail(wrong("resample without options of the right size, or of a method that is none")),
                   TensorId{};
        const TensorId in = c.tensor(x);
        if (!in || o->method == PUMICE_RESAMPLE_NEAREST) return ops::upsample_nearest(c.g, in, o->rows, o->columns);
        const auto method = o->method == PUMICE_RESAMPLE_BICUBIC ? ops::Resampling::bicubic : ops::Resampling::lanczos;
        if (!o->window) return ops::resample(c.g, in, o->rows, o->columns, method);
        return ops::resample(
            c.g, in, o->rows, o->columns, method,
            {o->in_rows, o->in_columns, o->in_y, o->in_x, o->out_rows, o->out_columns, o->out_y, o->out_x});
    });
}

const pumice_host_graph_1& DeviceSession::graph_extension() {
    using Host = const pumice_host*;
    static const pumice_host_graph_1 kGraph = {
        .struct_size = sizeof(pumice_host_graph_1),
        .reserved = 0,
        .info = GraphCalls::info,
        .create = GraphCalls::create,
        .release = GraphCalls::release,
        .run = [](Host host, pumice_program program) -> pumice_sdk_status {
            return GraphCalls::with_program(host, program, [](PluginProgram& p) { return p.run(); });
        },
        .write = [](Host host, pumice_program program, std::uint32_t index, const float* values,
                    std::size_t count) -> pumice_sdk_status {
            return GraphCalls::with_program(host, program, [&](PluginProgram& p) -> Status {
                if (!values) return wrong("pumice.graph/1: write of NULL");
                return p.write(index, {values, count});
            });
        },
        .read = [](Host host, pumice_program program, std::uint32_t index, float* values,
                   std::size_t count) -> pumice_sdk_status {
            return GraphCalls::with_program(host, program, [&](PluginProgram& p) -> Status {
                if (!values) return wrong("pumice.graph/1: read to NULL");
                return p.read(index, {values, count});
            });
        },
        .write_picture = [](Host host, pumice_program program, std::uint32_t index, pumice_picture picture,
                            std::int32_t x, std::int32_t y) -> pumice_sdk_status {
            return GraphCalls::with_program(host, program, [&](PluginProgram& p) -> Status {
                const Picture* from = Session::of(host).find_picture(picture);
                if (!from) return wrong(fmt::format("pumice.graph/1: there is no picture {}", picture));
                return p.write_picture(index, *from, x, y);
            });
        },
        .read_picture = [](Host host, pumice_program program, std::uint32_t index, std::uint32_t from_x,
                           std::uint32_t from_y, std::uint32_t width, std::uint32_t height, pumice_picture picture,
                           std::uint32_t x, std::uint32_t y, std::uint32_t channels) -> pumice_sdk_status {
            return GraphCalls::with_program(host, program, [&](PluginProgram& p) -> Status {
                Picture* to = Session::of(host).find_picture(picture);
                if (!to) return wrong(fmt::format("pumice.graph/1: there is no picture {}", picture));
                return p.read_picture(index, {from_x, from_y, width, height}, *to, x, y, channels);
            });
        },
        .check = [](Host host, pumice_graph graph) -> pumice_sdk_status {
            Session& session = Session::of(host);
            return session.serve([&]() -> Status {
                const Building* building = session.device()->building(graph);
                if (!building) return wrong(fmt::format("pumice.graph/1: there is no graph {} now", graph));
                if (const Error* error = building->graph->error()) return *error;
                return {};
            });
        },
        .set_scope =
            [](Host host, pumice_graph graph, const char* scope) {
                GraphCalls::append(host, graph, [&](GraphCalls& c) {
                    std::string text = c.building_.scope;
                    if (scope && *scope) {
                        if (!text.empty()) text += '.';
                        text.append(scope, strnlen(scope, 200));
                    }
                    c.g.set_scope(text);
                    return TensorId{};
                });
            },
        .shape = [](Host host, pumice_graph graph, pumice_node x) -> pumice_shape {
            pumice_shape shape{0, 0, 0, 0};
            GraphCalls::append(host, graph, [&](GraphCalls& c) {
                if (const TensorId id = c.tensor(x)) {
                    const Shape& s = c.g.shape(id);
                    shape = {s.n, s.h, s.w, s.c};
                }
                return TensorId{};
            });
            return shape;
        },
        .input = [](Host host, pumice_graph graph, pumice_shape s) -> pumice_node {
            return GraphCalls::append(host, graph, [&](GraphCalls& c) -> TensorId {
                if (!c.building_.program) return c.g.fail(wrong("an input of a graph of the host's")), TensorId{};
                return c.building_.program->add_input(c.g, {s.n, s.h, s.w, s.c});
            });
        },
        .output =
            [](Host host, pumice_graph graph, pumice_node x) {
                GraphCalls::append(host, graph, [&](GraphCalls& c) {
                    if (!c.building_.program)
                        c.g.fail(wrong("an output of a graph of the host's"));
                    else
                        c.building_.program->add_output(c.g, c.tensor(x));
                    return TensorId{};
                });
            },
        .linear = GraphCalls::linear,
        .conv2d = GraphCalls::conv2d,
        .matmul = [](Host host, pumice_graph graph, pumice_node a, pumice_node b, std::uint32_t transpose_b,
                     float scale) -> pumice_node {
            return GraphCalls::append(host, graph, [&](GraphCalls& c) {
                TensorId x = c.tensor(a), y = c.tensor(b);
                c.unite({&x, &y});
                return ops::matmul(c.g, x, y, {transpose_b != 0, scale});
            });
        },
        .softmax = [](Host host, pumice_graph graph, pumice_node x) -> pumice_node {
            return GraphCalls::append(host, graph, [&](GraphCalls& c) { return ops::softmax(c.g, c.tensor(x)); });
        },
        .group_norm = [](Host host, pumice_graph graph, pumice_node x, pumice_weight gamma, pumice_weight beta,
                         std::uint32_t groups, float eps, std::uint32_t silu) -> pumice_node {
            return GraphCalls::append(host, graph, [&](GraphCalls& c) -> TensorId {
                const Weight &scale = c.weight(gamma), &shift = c.weight(beta);
                if (c.g.error()) return {};
                return ops::group_norm(c.g, c.tensor(x), scale, shift, {groups, eps, silu != 0});
            });
        },
        .layer_norm = [](Host host, pumice_graph graph, pumice_node x, pumice_weight gamma, pumice_weight beta,
                         float eps) -> pumice_node {
            return GraphCalls::append(host, graph, [&](GraphCalls& c) -> TensorId {
                const Weight &scale = c.weight(gamma), &shift = c.weight(beta);
                if (c.g.error()) return {};
                return ops::layer_norm(c.g, c.tensor(x), scale, shift, eps);
            });
        },
        .attention = [](Host host, pumice_graph graph, pumice_node q, pumice_node k, pumice_node v, std::uint32_t heads,
                        float scale) -> pumice_node {
            return GraphCalls::append(host, graph, [&](GraphCalls& c) {
                TensorId a = c.tensor(q), b = c.tensor(k), d = c.tensor(v);
                c.unite({&a, &b, &d});
                return ops::attention(c.g, a, b, d, {.heads = heads, .causal = false, .scale = scale});
            });
        },
        .activation = [](Host host, pumice_graph graph, pumice_node x, std::uint32_t kind, float slope) -> pumice_node {
            return GraphCalls::append(host, graph, [&](GraphCalls& c) -> TensorId {
                const ops::Activation activation = activation_of(c.g, kind, slope);
                return c.g.error() ? TensorId{} : ops::activation(c.g, c.tensor(x), activation);
            });
        },
        .prelu = [](Host host, pumice_graph graph, pumice_node x, pumice_weight slopes) -> pumice_node {
            return GraphCalls::append(host, graph, [&](GraphCalls& c) -> TensorId {
                const Weight& w = c.weight(slopes);
                return c.g.error() ? TensorId{} : ops::prelu(c.g, c.tensor(x), w);
            });
        },
        .combine = GraphCalls::combine,
        .concat = [](Host host, pumice_graph graph, pumice_node a, pumice_node b) -> pumice_node {
            return GraphCalls::append(host, graph, [&](GraphCalls& c) {
                TensorId x = c.tensor(a), y = c.tensor(b);
                c.unite({&x, &y});
                return ops::concat(c.g, x, y);
            });
        },
        .resample = GraphCalls::resample,
        .pixel_shuffle = [](Host host, pumice_graph graph, pumice_node x, std::uint32_t r,
                            std::uint32_t channels) -> pumice_node {
            return GraphCalls::append(host, graph,
                                      [&](GraphCalls& c) { return ops::pixel_shuffle(c.g, c.tensor(x), r, channels); });
        },
        .pixel_unshuffle = [](Host host, pumice_graph graph, pumice_node x, std::uint32_t r,
                              std::uint32_t channels) -> pumice_node {
            return GraphCalls::append(
                host, graph, [&](GraphCalls& c) { return ops::pixel_unshuffle(c.g, c.tensor(x), r, channels); });
        },
        .timestep_embedding = [](Host host, pumice_graph graph, pumice_node timesteps, std::uint32_t n,
                                 std::uint32_t dim) -> pumice_node {
            return GraphCalls::append(host, graph, [&](GraphCalls& c) {
                return ops::timestep_embedding(c.g, c.float32(c.tensor(timesteps)), n, dim);
            });
        },
    };
    return kGraph;
}

}  // namespace pumice::plugins
