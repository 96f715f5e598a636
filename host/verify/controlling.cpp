#include "verify/controlling.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "diffusion/rng.hpp"
#include "graph/program.hpp"
#include "ops/ops.hpp"
#include "plugins/check.hpp"
#include "plugins/plugin_method.hpp"
#include "verify/counted_session.hpp"
#include "verify/hidden_host.hpp"
#include "vulkan/command.hpp"

namespace pumice::verify {
namespace {

using plugins::Instance;
using plugins::LentGraph;

/// Numbers on the device, and what they were.
struct Given {
    const char* what;
    Shape shape;
    std::vector<float> values;
    BufferRange range;
};

Result<Given> give(const plugins::DeviceServices& services, const char* what, Shape shape, std::vector<float> values) {
    Given made{what, shape, std::move(values), {}};
    const std::uint64_t bytes = made.values.size() * sizeof(float);
    PUMICE_ASSIGN(const auto buffer, services.device->allocator().create(bytes, Intent::device, what));
    made.range = {buffer, 0, bytes};
    PUMICE_TRY(write_range(services.device, made.range, std::as_bytes(std::span(made.values))));
    return made;
}

std::vector<float> normal(std::uint64_t elements, std::uint64_t seed) {
    std::vector<float> values(elements);
    NoiseSource(RngKind::philox, seed).normal(values);
    return values;
}

/// RGB from 0 to 1, and 0.
std::vector<float> picture(const Shape& shape) {
    std::vector<float> values = normal(shape.elements(), 3);
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = i % 4 == 3 ? 0.0f : std::clamp(0.5f + 0.2f * values[i], 0.0f, 1.0f);
    return values;
}

/// One instance with its host, and what it is put through.
class Control {
public:
    Control(const Plugin& plugin, std::uint32_t index, const ControlOptions& options)
        : plugin_(plugin),
          index_(index),
          options_(options),
          counter_(options, done_),
          session_(plugin, counter_),
          hidden_(session_.counted_host(), options.hidden ? options.hidden : "none") {}

    Controlled run() {
        auto instance = Instance::create(plugin_.subject.library, plugin_.index, hidden_.host());
        if (!instance) {
            done_.status = static_cast<pumice_sdk_status>(instance.error().code) + 1;
            done_.error = session_.init_error(instance.error()).message;
            return std::move(done_);
        }
        instance_.emplace(*std::move(instance));
        Status outcome = options_.never_open ? Status() : open();
        if (outcome && !options_.open_only) outcome = prepare();
        for (const std::uint32_t n : options_.batches)
            if (outcome && !options_.open_only) outcome = step(n);
        if (!outcome && done_.error.empty()) done_.error = outcome.error().message;
        instance_.reset();
        return std::move(done_);
    }

private:
    /// Calls the plugin (const pumice_control_1&, pumice_plugin* → status).
    template <class Work>
    Status call(const char* doing, Work&& work) {
        session_.begin_run({.math = nullptr, .step = {}, .check = [this] { return counter_.call("check", true); }});
        done_.status =
            plugins::call_plugin(done_.thrown, [&] { return work(*instance_->control(), instance_->plugin()); });
        session_.end_run();
        return session_.outcome(done_.status, done_.thrown, doing);
    }

    Status open() {
        const UnetShape& unet = options_.file.unet;
        const plugins::Method& method = plugin_.description().controls[index_];
        const auto values = plugins::values_of(method, options_.params);
        const Longer<pumice_control_model> model(
            {sizeof(pumice_control_model), unet.heads, options_.file.path.c_str(), unet.family.c_str(),
             unet.head_channels, 4, unet.model_channels, unet.context_channels, unet.vector_channels, 0, values.data()},
            options_.future);
        return call("open", [&](const pumice_control_1& extension, pumice_plugin* plugin) {
            return extension.open(plugin, index_, model.get());
        });
    }

    /// Appends what the plugin appends, runs it, and reads `wanted` of it: tensors of the graph.
    Status finish(Graph& g, std::vector<TensorId>& wanted, std::vector<std::vector<float>>& numbers) {
        const plugins::DeviceServices& services = *services_();
        for (TensorId& id : wanted) {
            if (g.dtype(id) != DType::f32) id = ops::cast(g, id, DType::f32);
            if (id && !g.info(id).external.buffer) g.keep(id);
        }
        if (g.error()) return *g.error();
        PUMICE_TRY(session_.device()->flush_weights());
        if (g.nodes().empty()) return read(wanted, g, nullptr, numbers);
        PUMICE_ASSIGN(const auto program, Program::compile(services.device, *services.kernels, arena_, g, {}));
        PUMICE_TRY(program->run());
        return read(wanted, g, program.get(), numbers);
    }
    Status read(const std::vector<TensorId>& wanted, const Graph& g, const Program* program,
                std::vector<std::vector<float>>& numbers) {
        for (const TensorId id : wanted) {
            std::vector<float> values(g.shape(id).elements());
            const BufferRange range = program ? program->range(id) : g.info(id).external;
            PUMICE_TRY(read_range(services_()->device, range, std::as_writable_bytes(std::span(values))));
            numbers.push_back(std::move(values));
        }
        return {};
    }

    /// What was lent to be read is as it was.
    Status compare(const std::vector<Given>& all) {
        for (const Given& each : all) {
            std::vector<float> now(each.values.size());
            PUMICE_TRY(read_range(services_()->device, each.range, std::as_writable_bytes(std::span(now))));
            if (now != each.values) done_.wrote = each.what;
        }
        return {};
    }

    Status prepare() {
        const plugins::DeviceServices& services = *services_();
        const Shape shape{1, 8 * options_.side, 8 * options_.other_side, 4};
        std::vector<Given> given(1);
        PUMICE_ASSIGN(given[0], give(services, "the picture", shape, picture(shape)));
        Graph g(services.device->caps(), services.precision, services.device->assumed_gflops());
        std::vector<TensorId> kept;
        {
            const LentGraph lent(*session_.device(), g, "control");
            const TensorId seen = g.external(shape, DType::f32, given[0].range, "picture");
            Keeping keeping{*this, lent, kept};
            const Longer<pumice_control_prepare> request(
                {sizeof(pumice_control_prepare), lent.handle(), LentGraph::node(seen), 0, &keeping, keep},
                options_.future);
            // The plugin gives request.get() back with keep.
            PUMICE_TRY(call("prepare", [&](const pumice_control_1& extension, pumice_plugin* plugin) {
                return extension.prepare(plugin, index_, request.get());
            }));
        }
        if (g.error()) return *g.error();
        kept_.clear();
        PUMICE_TRY(finish(g, kept, kept_));
        for (const TensorId id : kept) done_.kept.push_back(g.shape(id));
        return compare(given);
    }

    /// As often as there are pictures.
    static std::vector<float> repeated(const std::vector<float>& one, std::uint32_t n) {
        std::vector<float> all;
        for (std::uint32_t i = 0; i < n; ++i) all.insert(all.end(), one.begin(), one.end());
        return all;
    }

    Status step(std::uint32_t n) {
        const plugins::DeviceServices& services = *services_();
        const UnetShape& unet = options_.file.unet;
        const Shape x{n, options_.side, options_.other_side, 4}, context{n, 1, 77, unet.context_channels},
            vector{n, 1, 1, unet.vector_channels};
        std::vector<Given> given;
        const auto add = [&](const char* what, Shape shape, std::vector<float> values) -> Status {
            PUMICE_ASSIGN(Given made, give(services, what, shape, std::move(values)));
            given.push_back(std::move(made));
            return {};
        };
        PUMICE_TRY(add("x", x, normal(x.elements(), 5)));
        PUMICE_TRY(add("the timesteps", {1, 1, 1, n}, std::vector<float>(n, 321.5f)));
        PUMICE_TRY(add("the context", context, normal(context.elements(), 6)));
        if (unet.vector_channels > 0) PUMICE_TRY(add("the vector", vector, normal(vector.elements(), 7)));
        const std::size_t first = given.size();
        for (std::size_t i = 0; i < kept_.size(); ++i) {
            Shape shape = done_.kept[i];
            shape.n *= n;
            PUMICE_TRY(add("what was kept", shape, repeated(kept_[i], n)));
        }
        Graph g(services.device->caps(), services.precision, services.device->assumed_gflops());
        std::vector<pumice_node> nodes;
        for (const Given& each : given)
            nodes.push_back(LentGraph::node(g.external(each.shape, DType::f32, each.range, each.what)));
        std::vector<TensorId> tensors;
        std::vector<Residual> residuals;
        {
            const LentGraph lent(*session_.device(), g, "control");
            Adding adding{*this, lent, tensors, residuals};
            const Longer<pumice_control_step> request(
                {sizeof(pumice_control_step), lent.handle(), nodes[0], nodes[1], nodes[2],
                 unet.vector_channels > 0 ? nodes[3] : 0, nodes.data() + first,
                 static_cast<std::uint32_t>(nodes.size() - first), 0, &adding, Control::add},
                options_.future);
            PUMICE_TRY(call("step", [&](const pumice_control_1& extension, pumice_plugin* plugin) {
                return extension.step(plugin, index_, request.get());
            }));
        }
        if (g.error()) return *g.error();
        std::vector<std::vector<float>> numbers;
        PUMICE_TRY(finish(g, tensors, numbers));
        for (std::size_t i = 0; i < residuals.size(); ++i) {
            residuals[i].shape = g.shape(tensors[i]);
            residuals[i].values = std::move(numbers[i]);
        }
        done_.residuals.push_back(std::move(residuals));
        return compare(given);
    }

    struct Keeping {
        Control& self;
        const LentGraph& graph;
        std::vector<TensorId>& kept;
    };
    static pumice_sdk_status keep(const pumice_control_prepare* call, pumice_node node) {
        const auto& at = *static_cast<Keeping*>(call->data);
        return at.self.session_.serve([&]() -> Status {
            PUMICE_TRY(at.self.counter_.call("keep"));
            const TensorId tensor = at.graph.tensor(node);
            if (!tensor || at.kept.size() >= PUMICE_CONTROL_MAX_KEPT)
                return Error{Code::invalid_argument,
                             fmt::format("keep of node {}, number {}", node, at.kept.size() + 1)};
            at.kept.push_back(tensor);
            return {};
        });
    }

    struct Adding {
        Control& self;
        const LentGraph& graph;
        std::vector<TensorId>& tensors;
        std::vector<Residual>& residuals;
    };
    static pumice_sdk_status add(const pumice_control_step* call, const char* block, std::uint32_t where,
                                 pumice_node node, double soft_weight) {
        const auto& at = *static_cast<Adding*>(call->data);
        return at.self.session_.serve([&]() -> Status {
            PUMICE_TRY(at.self.counter_.call("add"));
            const TensorId tensor = at.graph.tensor(node);
            const std::string name = block ? plugins::one_line(block) : "";
            if (!tensor || where > PUMICE_CONTROL_TO_OUTPUT || !(soft_weight >= 0 && soft_weight <= 1) ||
                at.residuals.size() >= PUMICE_CONTROL_MAX_RESIDUALS)
                return Error{Code::invalid_argument,
                             fmt::format("add of node {} after \"{}\" ({}) with soft weight {}, number {}", node, name,
                                         where, soft_weight, at.residuals.size() + 1)};
            at.tensors.push_back(tensor);
            at.residuals.push_back({name, where, {}, soft_weight, {}});
            return {};
        });
    }

    const plugins::DeviceServices* services_() const { return &plugin_.subject.device; }

    const Plugin& plugin_;
    std::uint32_t index_;
    const ControlOptions& options_;
    Controlled done_;
    Counter counter_;
    CountedSession session_;
    HiddenHost hidden_;
    std::optional<Instance> instance_;
    Arena arena_;
    std::vector<std::vector<float>> kept_;
};

}  // namespace

Controlled control(const Plugin& plugin, std::uint32_t index, const ControlOptions& options) {
    return Control(plugin, index, options).run();
}

}  // namespace pumice::verify
