#include "plugins/plugin_guidance.hpp"

#include <sstream>

#include <fmt/format.h>

#include "plugins/check.hpp"

namespace pumice::plugins {
namespace {

/// "middle_block", "input_blocks.7", "output_blocks.11".
bool is_block(const std::string& name) {
    if (name == "middle_block") return true;
    for (const std::string prefix : {"input_blocks.", "output_blocks."})
        if (name.starts_with(prefix) && name.size() > prefix.size() && name.size() <= prefix.size() + 2)
            return name.find_first_not_of("0123456789", prefix.size()) == std::string::npos;
    return false;
}

}  // namespace

Result<std::unique_ptr<Guidance>> PluginGuidance::create(PluginMethod method,
                                                         const std::filesystem::path& marker_folder, Log log) {
    std::unique_ptr<PluginGuidance> made(new PluginGuidance(std::move(method), marker_folder, std::move(log)));
    const Marked inside(&made->marker_, true);
    auto instance = Instance::create(made->method_.library, made->method_.plugin, made->session_.host());
    if (!instance) return made->method_.error(made->session_.init_error(std::move(instance.error())));
    made->instance_.emplace(*std::move(instance));
    PUMICE_TRY(made->method_.check(made->instance_->guidance(), *made->instance_));
    PUMICE_TRY(made->ask_perturbed());
    return std::unique_ptr<Guidance>(std::move(made));
}

Status PluginGuidance::ask_perturbed() {
    if ((method_.method.flags & PUMICE_GUIDANCE_PERTURBED) == 0) return {};
    const std::string doing = fmt::format("guidance {}: perturbed_blocks", method_.method.name);
    const pumice_guidance_1* extension = instance_->guidance();
    if (!extension || !extension->perturbed_blocks) return method_.error({Code::internal, doing + " is gone"});
    session_.begin_run({});
    const auto values = method_.values();
    std::string thrown, blocks;
    const pumice_sdk_status status = call_plugin(thrown, [&]() -> pumice_sdk_status {
        const char* text = extension->perturbed_blocks(instance_->plugin(), method_.index, values.data());
        if (!text) return PUMICE_SDK_INVALID_ARGUMENT;
        blocks = one_line(text);
        return PUMICE_SDK_OK;
    });
    session_.end_run();
    if (Status outcome = session_.outcome(status, thrown, doing); !outcome)
        return method_.error(std::move(outcome.error()));
    std::istringstream words(blocks);
    for (std::string word; words >> word;) {
        if (!is_block(word))
            return method_.error({Code::invalid_argument, fmt::format("{}: {} is no block of a UNet; write "
                                                                      "middle_block, input_blocks.N or "
                                                                      "output_blocks.N",
                                                                      doing, word)});
        perturbed_.push_back(std::move(word));
    }
    if (perturbed_.empty()) return method_.error({Code::invalid_argument, doing + ": no block is named"});
    return {};
}

Status PluginGuidance::run(const GuidanceCall& call) {
    const Marked inside(&marker_, true);
    const pumice_guidance_1* extension = instance_->guidance();
    if (!extension) return method_.error({Code::internal, "its methods of guidance are gone"});
    session_.begin_run({.math = &call.math});
    const auto values = method_.values();
    // One latent is one handle.
    const pumice_tensor cond = session_.lend(call.cond);
    const pumice_guidance_call request{sizeof(pumice_guidance_call),
                                       session_.lend(call.x),
                                       cond,
                                       &call.uncond == &call.cond ? cond : session_.lend(call.uncond),
                                       call.perturbed ? session_.lend(*call.perturbed) : 0,
                                       session_.lend(call.denoised),
                                       call.sigma,
                                       call.scale,
                                       values.data()};
    std::string thrown;
    const pumice_sdk_status status =
        call_plugin(thrown, [&] { return extension->run(instance_->plugin(), method_.index, &request); });
    session_.end_run();
    const Status outcome = session_.outcome(status, thrown, fmt::format("guidance {}", method_.method.name));
    if (outcome) return {};
    const Error& error = outcome.error();
    return session_.failed_in_host() ? error : method_.error(error);
}

}  // namespace pumice::plugins
