#include "plugins/plugin_control.hpp"

#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plugins/check.hpp"

namespace pumice::plugins {
namespace {

/// "input_blocks.0" to "input_blocks.99", "middle_block".
bool is_place(const std::string& name) {
    constexpr std::string_view kInput = "input_blocks.";
    return name == "middle_block" ||
           (name.starts_with(kInput) && name.size() > kInput.size() && name.size() <= kInput.size() + 2 &&
            name.find_first_not_of("0123456789", kInput.size()) == std::string::npos);
}

/// What the C functions behind a call need.
struct Keeping {
    Session& session;
    const LentGraph& graph;
    std::vector<TensorId>& kept;
};

struct Adding {
    Session& session;
    const LentGraph& graph;
    std::vector<ControlResidual>& residuals;
};

pumice_sdk_status keep(const pumice_control_prepare* call, pumice_node node) {
    auto& [session, graph, kept] = *static_cast<Keeping*>(call->data);
    std::vector<TensorId>& to = kept;
    const TensorId tensor = graph.tensor(node);
    return session.serve([&]() -> Status {
        if (!tensor) return Error{Code::invalid_argument, fmt::format("pumice.control/1: keep of node {}", node)};
        if (to.size() >= PUMICE_CONTROL_MAX_KEPT)
            return Error{Code::invalid_argument, "pumice.control/1: too many tensors are kept"};
        to.push_back(tensor);
        return {};
    });
}

pumice_sdk_status add(const pumice_control_step* call, const char* block, std::uint32_t where, pumice_node node,
                      double soft_weight) {
    auto& [session, graph, residuals] = *static_cast<Adding*>(call->data);
    std::vector<ControlResidual>& to = residuals;
    const TensorId tensor = graph.tensor(node);
    return session.serve([&]() -> Status {
        const std::string name = block ? one_line(block) : "";
        if (!tensor || !is_place(name) || where > PUMICE_CONTROL_TO_OUTPUT || !(soft_weight >= 0 && soft_weight <= 1))
            return Error{Code::invalid_argument,
                         fmt::format("pumice.control/1: add of node {} after block \"{}\" ({}) with soft weight {}",
                                     node, name, where, soft_weight)};
        if (to.size() >= PUMICE_CONTROL_MAX_RESIDUALS)
            return Error{Code::invalid_argument, "pumice.control/1: too many residuals are added"};
        to.push_back({name, where == PUMICE_CONTROL_TO_OUTPUT, tensor, soft_weight});
        return {};
    });
}

}  // namespace

Result<std::shared_ptr<ControlNetwork>> PluginControl::open(PluginMethod method, const ControlModel& model,
                                                            const DeviceServices& services,
                                                            const std::filesystem::path& marker_folder, Log log) {
    std::shared_ptr<PluginControl> made(new PluginControl(std::move(method), marker_folder, std::move(log)));
    made->session_.offer(services);
    const Marked inside(&made->marker_, true);
    auto instance = Instance::create(made->method_.library, made->method_.plugin, made->session_.host());
    if (!instance) return made->method_.error(made->session_.init_error(std::move(instance.error())));
    made->instance_.emplace(*std::move(instance));
    PUMICE_TRY(made->open_model(model));
    return std::shared_ptr<ControlNetwork>(std::move(made));
}

Status PluginControl::open_model(const ControlModel& model) {
    const pumice_control_1* extension = instance_->control();
    if (!extension) return method_.error({Code::internal, "its control networks are gone"});
    const auto values = method_.values();
    const UnetConfig& unet = model.unet;
    const pumice_control_model call{sizeof(call),
                                    unet.head_channels ? 0 : unet.heads,
                                    model.path.c_str(),
                                    model.family.c_str(),
                                    unet.head_channels,
                                    unet.out_channels,
                                    unet.model_channels,
                                    unet.context_channels,
                                    unet.vector_channels,
                                    0,
                                    values.data()};
    session_.begin_run({});
    std::string thrown;
    const pumice_sdk_status status =
        call_plugin(thrown, [&] { return extension->open(instance_->plugin(), method_.index, &call); });
    session_.end_run();
    const Status outcome = session_.outcome(status, thrown, model.path);
    if (outcome) return {};
    // What is wrong with a file is no fault of the plugin's.
    const bool file = session_.failed_in_host() || outcome.error().code == Code::unsupported ||
                      outcome.error().code == Code::bad_format;
    return file ? outcome.error() : method_.error(outcome.error());
}

template <class Work>
void PluginControl::append(Graph& g, const char* doing, Work&& work) {
    if (g.error()) return;
    const Marked inside(&marker_, true);
    const pumice_control_1* extension = instance_->control();
    if (!extension) return g.fail(method_.error({Code::internal, "its control networks are gone"}));
    session_.begin_run({});
    std::string thrown;
    const pumice_sdk_status status = call_plugin(thrown, [&] { return work(*extension); });
    session_.end_run();
    const Status outcome = session_.outcome(status, thrown, fmt::format("control {}: {}", method_.method.name, doing));
    // The graph's own error came first and says more.
    if (!outcome) g.fail(session_.failed_in_host() ? outcome.error() : method_.error(outcome.error()));
}

std::vector<TensorId> PluginControl::prepare(Graph& g, TensorId picture) {
    std::vector<TensorId> kept;
    append(g, "prepare", [&](const pumice_control_1& extension) {
        const LentGraph lent(*session_.device(), g, "control." + method_.method.name);
        Keeping keeping{session_, lent, kept};
        const pumice_control_prepare call{sizeof(call), lent.handle(), LentGraph::node(picture), 0, &keeping, keep};
        return extension.prepare(instance_->plugin(), method_.index, &call);
    });
    return kept;
}

std::vector<ControlResidual> PluginControl::step(Graph& g, const ControlStep& step) {
    std::vector<ControlResidual> residuals;
    append(g, "step", [&](const pumice_control_1& extension) {
        const LentGraph lent(*session_.device(), g, "control." + method_.method.name);
        Adding adding{session_, lent, residuals};
        std::vector<pumice_node> prepared;
        for (const TensorId id : step.prepared) prepared.push_back(LentGraph::node(id));
        const pumice_control_step call{sizeof(call),
                                       lent.handle(),
                                       LentGraph::node(step.x),
                                       LentGraph::node(step.timesteps),
                                       LentGraph::node(step.context),
                                       LentGraph::node(step.vector),
                                       prepared.data(),
                                       static_cast<std::uint32_t>(prepared.size()),
                                       0,
                                       &adding,
                                       add};
        return extension.step(instance_->plugin(), method_.index, &call);
    });
    return residuals;
}

Result<std::shared_ptr<ControlNetwork>> open_control(Registry& registry, const std::string& name,
                                                     const ControlModel& model, const DeviceServices& services,
                                                     const Log& log) {
    const std::vector<std::string> names = name.empty() ? registry.control_names() : std::vector{name};
    for (const std::string& each : names) {
        PUMICE_ASSIGN(auto method, registry.make_method(kControl, each, {}));
        auto opened = PluginControl::open(std::move(method), model, services, registry.marker_folder(), log);
        if (opened || opened.error().code != Code::unsupported || names.size() == 1) return opened;
        // It knows the kind of file and cannot use this one: that is the answer.
        if (opened.error().message.find(": no ") == std::string::npos) return opened;
    }
    return Error{Code::unsupported, fmt::format("{}: no model of a kind of control that the plugins know ({})",
                                                model.path, fmt::join(names, ", "))};
}

}  // namespace pumice::plugins
