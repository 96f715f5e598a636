#include "verify/drawing.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "diffusion/rng.hpp"
#include "plugins/plugin_method.hpp"
#include "verify/counted_session.hpp"
#include "verify/hidden_host.hpp"

namespace pumice::verify {
namespace {

using plugins::Instance;
using plugins::Picture;

/// Smooth waves with some noise on them, the same each time: neither flat nor all edges.
void fill(Picture& picture, const DrawOptions& options) {
    std::vector<float> noise(std::size_t(options.width) * options.height * 4);
    NoiseSource(RngKind::philox, 5).normal(noise);
    std::vector<float> rgba(noise.size());
    for (std::uint32_t y = 0; y < options.height; ++y)
        for (std::uint32_t x = 0; x < options.width; ++x)
            for (std::uint32_t c = 0; c < 4; ++c) {
                const std::size_t at = (std::size_t(y) * options.width + x) * 4 + c;
                const double wave = 0.5 + 0.3 * std::sin(0.35 * x + 0.2 * c) * std::cos(0.22 * y - 0.4 * c);
                rgba[at] = static_cast<float>(std::clamp(wave + 0.05 * double(noise[at]), 0.0, 1.0));
                if (c == 3) rgba[at] = y < options.row_of_alpha ? 0.0f : 1.0f;
            }
    picture.write(0, 0, options.width, options.height, rgba.data(), std::size_t(options.width) * 4, 15);
}

/// One run: the handles of its pictures, and how it is called.
struct Run {
    const Drawer& drawer;
    const DrawOptions& options;
    const std::vector<pumice_param_value>& values;
    pumice_picture in, out;
    pumice_sdk_status call(const Instance& instance) const {
        switch (drawer.craft) {
            case Craft::upscaler: {
                const Longer<pumice_upscaler_call> call(
                    {sizeof(pumice_upscaler_call), 0, in, out, options.model.c_str(), values.data()}, options.future);
                return instance.upscaler()->run(instance.plugin(), drawer.index, call.get());
            }
            case Craft::preprocessor: {
                const Longer<pumice_preprocessor_call> call(
                    {sizeof(pumice_preprocessor_call), 0, in, out, options.seed, values.data()}, options.future);
                return instance.preprocessor()->run(instance.plugin(), drawer.index, call.get());
            }
            default: {
                const Longer<pumice_image_filter_call> call(
                    {sizeof(pumice_image_filter_call), 0, in, out, options.seed, values.data()}, options.future);
                return instance.image_filter()->run(instance.plugin(), drawer.index, call.get());
            }
        }
    }
};

plugins::Services services_of(Counter& counter, const DrawOptions& options, Drawn& drawn) {
    const auto cancelled = [&counter](const char* where) -> Status {
        counter.failed(where);
        return Error{Code::cancelled, "cancelled"};
    };
    return {.math = nullptr,
            .step = [&, cancelled](std::uint32_t done, std::uint32_t all) -> Status {
                drawn.steps.emplace_back(done, all);
                PUMICE_TRY(counter.call("step"));
                const bool now = options.cancel_step && (*options.cancel_step == 0 ||
                                                         *options.cancel_step == static_cast<int>(drawn.steps.size()));
                return now ? cancelled("step") : Status{};
            },
            .check = [&, cancelled]() -> Status {
                // pumice.graph/1 asks too when it runs a program: that is no call of the plugin's.
                return options.cancel_step && *options.cancel_step == 0 ? cancelled("check") : Status{};
            }};
}

Drawn no_instance(const Error& error, Drawn drawn) {
    drawn.status = static_cast<pumice_sdk_status>(error.code) + 1;
    drawn.error = error.message;
    return drawn;
}

}  // namespace

const plugins::Method& Drawer::method() const {
    const plugins::Description& all = plugin.description();
    return (craft == Craft::upscaler       ? all.upscalers
            : craft == Craft::preprocessor ? all.preprocessors
                                           : all.image_filters)[index];
}

DrawOptions Drawer::options() const {
    DrawOptions options;
    options.params = trials(method()).front().values;
    for (std::size_t i = 0; i < method().params.size(); ++i)
        if (method().params[i].type == PUMICE_PARAM_FILE)
            if (const GivenFile* given = plugin.subject.find(method().name + "." + method().params[i].id))
                options.params[i].text = given->file;
    return options;
}

Drawn Drawer::draw(const DrawOptions& options) const {
    Drawn drawn;
    Counter counter(options, drawn);
    CountedSession session(plugin, counter);
    const HiddenHost hidden(session.counted_host(), options.hidden ? options.hidden : "none");
    auto instance = Instance::create(plugin.subject.library, plugin.index, hidden.host());
    if (!instance) return no_instance(session.init_error(instance.error()), std::move(drawn));
    const bool scaled = craft == Craft::upscaler;
    auto in = Picture::create(options.format, options.width, options.height);
    auto out =
        Picture::create(craft == Craft::preprocessor ? PUMICE_PICTURE_RGB8 : options.format,
                        scaled ? options.out_width : options.width, scaled ? options.out_height : options.height);
    if (!in || !out) return no_instance((in ? out : in).error(), std::move(drawn));
    fill(*in, options);
    const std::vector<std::byte> given(in->pixels(), in->pixels() + in->bytes());
    const auto values = plugins::values_of(method(), options.params);
    for (int i = 0; i < options.runs && drawn.status == PUMICE_SDK_OK && drawn.thrown.empty(); ++i) {
        std::fill_n(out->pixels(), out->bytes(), options.paper);
        drawn.steps.clear();
        session.begin_run(services_of(counter, options, drawn));
        const Run run{*this, options, values, session.lend(*in), session.lend(*out)};
        drawn.status = plugins::call_plugin(drawn.thrown, [&] { return run.call(*instance); });
        session.end_run();
        drawn.held.push_back(session.held());
    }
    if (const Status outcome = session.outcome(drawn.status, drawn.thrown, "run"); !outcome)
        drawn.error = outcome.error().message;
    drawn.pixels.assign(out->pixels(), out->pixels() + out->bytes());
    drawn.wrote_input = std::memcmp(given.data(), in->pixels(), given.size()) != 0;
    drawn.wrote_outside = !in->intact() || !out->intact();
    return drawn;
}

double Drawer::inspect(const std::string& model, Drawn& drawn) const {
    const Faults none;
    Counter counter(none, drawn);
    CountedSession session(plugin, counter);
    auto instance = Instance::create(plugin.subject.library, plugin.index, session.counted_host());
    if (!instance) {
        drawn = no_instance(session.init_error(instance.error()), std::move(drawn));
        return 0;
    }
    double scale = 0;
    session.begin_run({});
    drawn.status = plugins::call_plugin(
        drawn.thrown, [&] { return instance->upscaler()->inspect(instance->plugin(), index, model.c_str(), &scale); });
    session.end_run();
    if (const Status outcome = session.outcome(drawn.status, drawn.thrown, "inspect"); !outcome)
        drawn.error = outcome.error().message;
    return scale;
}

Why trouble(const Drawn& drawn, std::uint32_t format) {
    if (!drawn.thrown.empty()) return drawn.thrown;
    if (!drawn.error.empty()) return drawn.error;
    if (drawn.wrote_outside) return "it wrote outside of its picture";
    if (drawn.wrote_input) return "it wrote over the picture it was given to read";
    if (format == PUMICE_PICTURE_RGB8 || format == PUMICE_PICTURE_RGBA8) return "";
    for (std::size_t at = 0; at + 4 <= drawn.pixels.size(); at += 4) {
        float level = 0;
        std::memcpy(&level, drawn.pixels.data() + at, sizeof(level));
        if (!std::isfinite(level)) return "its picture is not finite";
    }
    return "";
}

}  // namespace pumice::verify
