// pumice.guidance/1: one picture out of the model's answers.
#include <cmath>

#include <fmt/format.h>

#include "plugins/plugin_guidance.hpp"
#include "plugins/session.hpp"
#include "pumice/sdk/ext/guidance.h"
#include "pumice/sdk/ext/log.h"
#include "pumice/sdk/ext/math.h"
#include "verify/counted_math.hpp"
#include "verify/hidden_host.hpp"
#include "verify/suite.hpp"

namespace pumice::verify {
namespace {

struct Options : Faults {
    std::vector<plugins::ParamValue> params;
    double scale = 7.5, sigma = 3;
    bool agreed = false;           ///< all answers are one
    const char* hidden = nullptr;  ///< an extension that the host does not have
};

struct Guided : Tally {
    pumice_sdk_status status = PUMICE_SDK_OK;
    std::string thrown, error;
    std::vector<float> denoised, cond;
    bool wrote_x = false;
    std::size_t left = 0;
};

struct Tested {
    Plugin plugin;
    std::uint32_t index;
    const plugins::Method& method() const { return plugin.description().guidances[index]; }
    Options options() const {
        Options options;
        options.params = trials(method()).front().values;
        return options;
    }
    plugins::PluginMethod with(const std::vector<plugins::ParamValue>& values) const {
        return {plugin.description().id, plugin.subject.library, plugin.index, index, method(), values};
    }
    Guided guide(const Options& options) const;
};

Latent drawn(CpuTensorMath& math, std::uint64_t seed, double scale) {
    Latent latent = *math.create_latent();
    NoiseSource(RngKind::philox, seed).normal(math.data(latent));
    for (float& v : math.data(latent)) v = static_cast<float>(scale * double(v));
    return latent;
}

Guided Tested::guide(const Options& options) const {
    Guided guided;
    Counter counter(options, guided);
    CountedMath math(counter, guided, 1);
    CpuTensorMath& inner = math.inner();
    plugins::Session session(plugin.description().id, {}, nullptr);
    const HiddenHost hidden(session.host(), options.hidden ? options.hidden : "none");
    auto instance = plugins::Instance::create(plugin.subject.library, plugin.index, hidden.host());
    if (!instance) {
        guided.status = static_cast<pumice_sdk_status>(instance.error().code) + 1;
        guided.error = instance.error().message;
        return guided;
    }
    const Latent x = drawn(inner, 1, 5), cond = drawn(inner, 2, 1), uncond = drawn(inner, options.agreed ? 2 : 3, 1),
                 perturbed = drawn(inner, options.agreed ? 2 : 4, 1), denoised = drawn(inner, 5, 1);
    guided.cond = *inner.download(cond);
    const std::vector<float> before = *inner.download(x);
    const bool third = (method().flags & PUMICE_GUIDANCE_PERTURBED) != 0;
    session.begin_run({.math = &math});
    const plugins::PluginMethod called = with(options.params);
    const auto values = called.values();
    const pumice_tensor answer = session.lend(cond);
    const pumice_guidance_call call{sizeof(pumice_guidance_call),
                                    session.lend(x),
                                    answer,
                                    options.scale > 1 ? session.lend(uncond) : answer,
                                    third ? session.lend(perturbed) : 0,
                                    session.lend(denoised),
                                    options.sigma,
                                    options.scale,
                                    values.data()};
    const pumice_guidance_1* extension = instance->guidance();
    guided.status =
        plugins::call_plugin(guided.thrown, [&] { return extension->run(instance->plugin(), index, &call); });
    guided.left = session.end_run();
    if (const Status outcome = session.outcome(guided.status, guided.thrown, "run"); !outcome)
        guided.error = outcome.error().message;
    guided.denoised = *inner.download(denoised);
    guided.wrote_x = *inner.download(x) != before;
    return guided;
}

Why trouble(const Guided& guided) {
    if (!guided.error.empty()) return guided.error;
    for (const float v : guided.denoised)
        if (!std::isfinite(v)) return "its picture is not finite";
    if (guided.wrote_x) return "it wrote over x, which is the sampler's";
    return guided.left > 0 ? fmt::format("it left {} tensors behind", guided.left) : "";
}

/// Whatever a method does to the difference of the answers: where there is none, the answer is the picture.
Why agrees(const Tested& tested) {
    Options options = tested.options();
    options.agreed = true;
    for (const double scale : {1.0, 2.0, 7.5, 30.0}) {
        options.scale = scale;
        const Guided guided = tested.guide(options);
        if (Why why = trouble(guided); !why.empty()) return why;
        double worst = 0;
        for (std::size_t i = 0; i < kElements; ++i)
            worst = std::max(worst, std::fabs(double(guided.denoised[i]) - double(guided.cond[i])));
        if (worst > 1e-3)
            return fmt::format("scale {}: its picture is up to {:.3g} away from the one answer there is", scale, worst);
    }
    return "";
}

Why any_settings(const Tested& tested) {
    for (const Trial& trial : trials(tested.method())) {
        Options options = tested.options();
        options.params = trial.values;
        for (const double scale : {0.0, 1.0, 7.5, 100.0})
            for (const double sigma : {1e-3, 1.0, 200.0}) {
                options.scale = scale;
                options.sigma = sigma;
                if (Why why = trouble(tested.guide(options)); !why.empty())
                    return fmt::format("{}{}scale {}, sigma {}: {}", trial.what, trial.what.empty() ? "" : ", ", scale,
                                       sigma, why);
            }
    }
    return "";
}

/// Blocks that are none may be refused, in words.
Why names_blocks(const Tested& tested) {
    for (const Trial& trial : trials(tested.method())) {
        const auto made = plugins::PluginGuidance::create(tested.with(trial.values), {}, {});
        if (!made && (trial.what.empty() || made.error().code == Code::internal))
            return trial.what.empty() ? made.error().message : trial.what + ": " + made.error().message;
    }
    return "";
}

Why repeats(const Tested& tested) {
    const Options options = tested.options();
    const Guided first = tested.guide(options);
    return first.denoised == tested.guide(options).denoised ? "" : "two runs from the same give different pictures";
}

Why hands_errors_on(const Tested& tested) {
    Options options = tested.options();
    const Guided whole = tested.guide(options);
    if (Why why = trouble(whole); !why.empty()) return why;
    for (int call = 0; call < whole.calls; ++call) {
        options.fail_call = call;
        const Guided guided = tested.guide(options);
        Why why = ended_by_host(guided, guided.thrown, guided.status, PUMICE_SDK_OUT_OF_DEVICE_MEMORY);
        if (why.empty() && guided.left > 0) why = fmt::format("{} tensors were left behind", guided.left);
        if (!why.empty()) return fmt::format("call {} of {}: {}", call + 1, whole.calls, why);
    }
    return "";
}

Why other_hosts(const Tested& tested) {
    Options options = tested.options();
    const Guided whole = tested.guide(options);
    for (const char* id : {PUMICE_HOST_TENSOR_1, PUMICE_HOST_MATH_1, PUMICE_HOST_LOG_1, ""}) {
        options.hidden = id;
        const Guided guided = tested.guide(options);
        if (!guided.thrown.empty()) return fmt::format("without {}: {}", *id ? id : "any extension", guided.thrown);
        if (guided.status == PUMICE_SDK_OK && guided.denoised != whole.denoised)
            return fmt::format("without {} it says that all is well and gives another picture",
                               *id ? id : "any extension");
    }
    return "";
}

}  // namespace

Checks guidance_checks(const Plugin& plugin) {
    const std::pair<const char*, Why (*)(const Tested&)> all[] = {
        {"gives the answer where all answers are one", agrees},
        {"takes any scale, level and parameters", any_settings},
        {"names blocks of the UNet, where it asks for another answer", names_blocks},
        {"gives the same from the same", repeats},
        {"hands on an error of each call to the host", hands_errors_on},
        {"runs in a host that lacks something", other_hosts},
    };
    Checks checks;
    for (std::uint32_t i = 0; i < plugin.description().guidances.size(); ++i)
        for (const auto& [name, check] : all) {
            const auto run = check;
            checks.push_back(
                {fmt::format("guidance {}: {}", plugin.description().guidances[i].name, name), [plugin, i, run] {
                     return run(Tested{plugin, i});
                 }});
        }
    return checks;
}

}  // namespace pumice::verify
