#include "verify/picture_checks.hpp"

#include <malloc.h>

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "pumice/sdk/ext/graph.h"
#include "pumice/sdk/ext/kernel.h"
#include "pumice/sdk/ext/log.h"
#include "pumice/sdk/ext/math.h"
#include "pumice/sdk/ext/progress.h"
#include "verify/model_files.hpp"

namespace pumice::verify {
namespace {

struct Size {
    std::uint32_t width, height, format;
};
constexpr Size kSizes[] = {{1, 1, PUMICE_PICTURE_RGB8},
                           {1, 9, PUMICE_PICTURE_RGBA8},
                           {9, 1, PUMICE_PICTURE_RGB8},
                           {7, 5, PUMICE_PICTURE_RGBA8},
                           {33, 18, PUMICE_PICTURE_RGB8}};
constexpr Size kFloatSizes[] = {{7, 5, PUMICE_PICTURE_RGB32F}, {5, 7, PUMICE_PICTURE_RGBA32F}};
constexpr std::byte kPaper{0x5A};

Why runs_at(const Tested& tested, const Size& size, double factor = 0) {
    DrawOptions options = tested.sized(size.width, size.height, size.format, factor);
    const Drawn drawn = tested.draw(options);
    const auto where = [&] {
        return fmt::format("{}x{} pixels to {}x{}", size.width, size.height, options.out_width, options.out_height);
    };
    if (Why why = trouble(drawn, size.format); !why.empty()) return fmt::format("{}: {}", where(), why);
    if (tested.drawer.craft != Craft::upscaler) return "";
    // What the picture held before is to be gone, each pixel of it.
    options.paper = kPaper;
    const Drawn again = tested.draw(options);
    if (Why why = trouble(again, size.format); !why.empty()) return fmt::format("{}: {}", where(), why);
    return drawn.pixels == again.pixels ? "" : fmt::format("{}: it does not fill its picture", where());
}

Why any_size(const Tested& tested) {
    for (const Size& size : kSizes)
        if (Why why = runs_at(tested, size); !why.empty()) return why;
    if (tested.drawer.craft != Craft::upscaler) return "";
    for (const Size& size : kFloatSizes)
        if (Why why = runs_at(tested, size); !why.empty()) return why;
    return "";
}

Why any_parameters(const Tested& tested) {
    for (const Trial& trial : trials(tested.drawer.method())) {
        DrawOptions options = tested.options();
        const bool text = trial.what.ends_with("=\"\"");
        // The files that the author named stay where another parameter is tried.
        for (std::size_t i = 0; i < options.params.size(); ++i)
            if (options.params[i].text.empty() || trial.what.starts_with(tested.drawer.method().params[i].id + "="))
                options.params[i] = trial.values[i];
        const Drawn drawn = tested.draw(options);
        // It may say that it needs a text.
        if (text && drawn.thrown.empty() && !drawn.error.empty()) continue;
        if (Why why = trouble(drawn, options.format); !why.empty()) return fmt::format("{}: {}", trial.what, why);
    }
    return "";
}

Why repeats(const Tested& tested) {
    DrawOptions options = tested.options();
    const Drawn first = tested.draw(options);
    DrawOptions other = options;
    other.seed = 2;
    const Drawn between = tested.draw(other);
    options.runs = 2;
    const Drawn again = tested.draw(options);
    for (const Drawn* each : {&first, &between, &again})
        if (Why why = trouble(*each, options.format); !why.empty()) return why;
    return first.pixels == again.pixels ? "" : "two runs with the same arguments give different pictures";
}

/// Where the host said "cancelled", that is what comes back, and nothing else is asked for.
Why ends_cancelled(const Tested& tested) {
    const Drawn whole = tested.draw(tested.options());
    if (Why why = trouble(whole, PUMICE_PICTURE_RGB8); !why.empty()) return why;
    for (int step = 0; step <= static_cast<int>(whole.steps.size()); ++step) {
        DrawOptions options = tested.options();
        options.cancel_step = step;
        const Drawn drawn = tested.draw(options);
        if (Why why = ended_by_host(drawn, drawn.thrown, drawn.status, PUMICE_SDK_CANCELLED); !why.empty())
            return step == 0 ? fmt::format("cancelled when it begins: {}", why)
                             : fmt::format("cancelled at part {}: {}", step, why);
    }
    return "";
}

/// The calls to let fail, of so many: the first ones, and others evenly.
std::vector<int> sample_of(int calls) {
    constexpr int kFirst = 16, kOthers = 16;
    std::vector<int> chosen;
    for (int i = 0; i < std::min(calls, kFirst); ++i) chosen.push_back(i);
    const int rest = calls - kFirst;
    for (int i = 1; i <= std::min(rest, kOthers); ++i)
        chosen.push_back(kFirst + rest * i / std::min(rest, kOthers) - 1);
    return chosen;
}

Why hands_errors_on(const Tested& tested) {
    const Drawn whole = tested.draw(tested.options());
    if (Why why = trouble(whole, PUMICE_PICTURE_RGB8); !why.empty()) return why;
    for (const int call : sample_of(whole.calls)) {
        DrawOptions options = tested.options();
        options.fail_call = call;
        const Drawn drawn = tested.draw(options);
        if (Why why = ended_by_host(drawn, drawn.thrown, drawn.status, PUMICE_SDK_OUT_OF_DEVICE_MEMORY); !why.empty())
            return fmt::format("call {} of {}: {}", call + 1, whole.calls, why);
    }
    return "";
}

Why other_hosts(const Tested& tested) {
    DrawOptions options = tested.options();
    const Drawn whole = tested.draw(options);
    if (Why why = trouble(whole, options.format); !why.empty()) return why;
    options.future = true;
    const Drawn future = tested.draw(options);
    if (Why why = trouble(future, options.format); !why.empty()) return "in a newer host: " + why;
    if (future.pixels != whole.pixels) return "in a newer host, with longer structs, it gives another picture";
    options.future = false;
    for (const char* id : {PUMICE_HOST_GRAPH_1, PUMICE_HOST_KERNEL_1, PUMICE_HOST_WEIGHTS_1, PUMICE_HOST_IMAGE_1,
                           PUMICE_HOST_PROGRESS_1, PUMICE_HOST_MATH_1, PUMICE_HOST_LOG_1, ""}) {
        options.hidden = id;
        const Drawn drawn = tested.draw(options);
        if (!drawn.thrown.empty() && drawn.status == PUMICE_SDK_INTERNAL)
            return fmt::format("without {}: {}", *id ? id : "any extension", drawn.thrown);
        if (drawn.error.empty() && drawn.pixels != whole.pixels)
            return fmt::format("without {} it says that all is well and gives another picture",
                               *id ? id : "any extension");
    }
    return "";
}

/// Bytes that the program has from malloc.
std::size_t allocated() {
    const struct mallinfo2 info = ::mallinfo2();
    return info.uordblks + info.hblkhd;
}

/// Memory is looked at where the plugin does without the device: drivers keep some of each run.
Why leaves_nothing(const Tested& tested) {
    DrawOptions options = tested.options();
    options.hidden = PUMICE_HOST_GRAPH_1;
    const bool on_device = !tested.draw(options).error.empty();
    options.hidden = nullptr;
    options.runs = 3;
    const Drawn drawn = tested.draw(options);
    if (Why why = trouble(drawn, options.format); !why.empty()) return why;
    if (drawn.held[2] > drawn.held[1])
        return fmt::format("each run leaves {} pictures, programs or files of weights open",
                           drawn.held[2] - drawn.held[1]);
    if (on_device) return "";
    // The allocator's own books grow now and then, and not each time.
    constexpr int kRounds = 5, kRuns = 4;
    constexpr std::size_t kLeast = 64;
    options.runs = 1;
    std::size_t least = SIZE_MAX;
    for (int round = 0; round < kRounds; ++round) {
        const std::size_t before = allocated();
        for (int i = 0; i < kRuns; ++i) (void)tested.draw(options);
        const std::size_t after = allocated();
        least = std::min(least, after > before ? after - before : 0);
    }
    return least >= kRuns * kLeast ? fmt::format("each run leaves about {} bytes behind", least / kRuns) : "";
}

/// The file of the upscaler's model, and its factor.
void find_model(Tested& tested) {
    const Drawer& drawer = tested.drawer;
    const plugins::Method& method = drawer.method();
    tested.scale = method.scale;
    if ((method.flags & PUMICE_UPSCALER_NEEDS_MODEL) == 0) return;
    std::vector<std::string> files;
    const GivenFile* given = drawer.plugin.subject.find(method.name);
    if (given) {
        files.push_back(given->file);
    } else {
        const auto made = make_upscalers(drawer.plugin.subject.folder);
        if (!made) {
            tested.lacking = made.error().message;
            return;
        }
        for (const MadeFile& each : *made) files.push_back(each.path);
    }
    bool no_device = !drawer.plugin.subject.device.device;
    for (const std::string& file : files) {
        Drawn drawn;
        const double scale = drawer.inspect(file, drawn);
        no_device = no_device && drawn.status == PUMICE_SDK_MISSING_FEATURE;
        if (drawn.error.empty() && drawn.thrown.empty()) {
            tested.model = file;
            // A factor that is none is for a check of its own.
            if (method.scale == 0) tested.scale = scale >= 1.0 / 16 && scale <= 64 ? scale : 1;
            return;
        }
        // What is wrong with a file that was named is for the checks to say.
        if (given) tested.model = file;
    }
    if (no_device)
        tested.lacking = drawer.plugin.subject.no_device;
    else if (!given)
        tested.lacking = fmt::format("no model of its kind; name one: --file {}=FILE", method.name);
}

/// Whether the device or a file is missing, which shows when it is run.
void find_lacking(Tested& tested) {
    if (!tested.lacking.empty()) return;
    const plugins::Method& method = tested.drawer.method();
    const Drawn drawn = tested.draw(tested.options());
    if (drawn.thrown.empty() && drawn.status == PUMICE_SDK_MISSING_FEATURE &&
        !tested.drawer.plugin.subject.device.device) {
        tested.lacking = tested.drawer.plugin.subject.no_device;
        return;
    }
    if (drawn.error.empty() || !drawn.thrown.empty()) return;
    const DrawOptions options = tested.options();
    for (std::size_t i = 0; i < method.params.size(); ++i)
        if (method.params[i].type == PUMICE_PARAM_FILE && options.params[i].text.empty())
            tested.lacking =
                fmt::format("it needs a file; name one: --file {}.{}=FILE", method.name, method.params[i].id);
}

}  // namespace

DrawOptions Tested::sized(DrawOptions options, double factor) const {
    const double by = factor > 0 ? factor : scale;
    const auto side = [by](std::uint32_t from) {
        return static_cast<std::uint32_t>(std::max(1.0, std::floor(from * by + 0.5)));
    };
    const bool scaled = drawer.craft == Craft::upscaler;
    options.out_width = scaled ? side(options.width) : options.width;
    options.out_height = scaled ? side(options.height) : options.height;
    options.model = model;
    return options;
}

DrawOptions Tested::sized(std::uint32_t width, std::uint32_t height, std::uint32_t format, double factor) const {
    DrawOptions options = drawer.options();
    options.width = width, options.height = height, options.format = format;
    return sized(std::move(options), factor);
}

Checks picture_checks(const Drawer& drawer, const char* kind, std::span<const PictureCheck> own) {
    static constexpr PictureCheck kAll[] = {
        {"keeps to its picture, of any size", any_size},
        {"takes each parameter at both ends", any_parameters},
        {"gives the same from the same", repeats},
        {"ends at once when it is cancelled", ends_cancelled},
        {"hands on an error of each call to the host", hands_errors_on},
        {"runs in a newer host, and in one that lacks something", other_hosts},
        {"leaves nothing behind", leaves_nothing},
    };
    // What it needs is found when the first check is about to run, and not before: a plugin may crash there.
    const auto tested = std::make_shared<std::optional<Tested>>();
    const auto get = [tested, drawer]() -> const Tested& {
        if (!*tested) {
            tested->emplace(Tested{drawer});
            if (drawer.craft == Craft::upscaler) find_model(**tested);
            find_lacking(**tested);
        }
        return **tested;
    };
    Checks checks;
    const auto add = [&](const PictureCheck& check) {
        const auto run = check.run;
        checks.push_back({fmt::format("{} {}: {}", kind, drawer.method().name, check.name),
                          [get, run] { return run(get()); }, [get] { return get().lacking; }});
    };
    for (const PictureCheck& check : kAll) add(check);
    for (const PictureCheck& check : own) add(check);
    return checks;
}

Checks preprocessor_checks(const Plugin& plugin) {
    Checks all;
    for (std::uint32_t i = 0; i < plugin.description().preprocessors.size(); ++i)
        for (Check& check : picture_checks({plugin, i, Craft::preprocessor}, "preprocessor", {}))
            all.push_back(std::move(check));
    return all;
}

Checks image_filter_checks(const Plugin& plugin) {
    Checks all;
    for (std::uint32_t i = 0; i < plugin.description().image_filters.size(); ++i)
        for (Check& check : picture_checks({plugin, i, Craft::image_filter}, "image filter", {}))
            all.push_back(std::move(check));
    return all;
}

}  // namespace pumice::verify
