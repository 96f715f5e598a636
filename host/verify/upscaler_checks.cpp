// pumice.upscaler/1: larger pictures of what was given, of the size that was asked for.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include <fmt/format.h>

#include "verify/model_files.hpp"
#include "verify/picture_checks.hpp"

namespace pumice::verify {
namespace {

bool needs_model(const Tested& tested) {
    return (tested.drawer.method().flags & PUMICE_UPSCALER_NEEDS_MODEL) != 0;
}

/// The host asks for factors that are not the upscaler's own.
Why any_factor(const Tested& tested) {
    for (const double factor : {0.5, 1.0, 1.7, 3.0}) {
        DrawOptions options = tested.sized(13, 10, PUMICE_PICTURE_RGB8, factor);
        const Drawn plain = tested.draw(options);
        options.paper = std::byte{0x5A};
        const Drawn papered = tested.draw(options);
        for (const Drawn* each : {&plain, &papered})
            if (Why why = trouble(*each, options.format); !why.empty()) return fmt::format("by {}: {}", factor, why);
        if (plain.pixels != papered.pixels)
            return fmt::format("by {}, to {}x{}: it does not fill its picture", factor, options.out_width,
                               options.out_height);
    }
    return "";
}

/// Where it was opaque it still is, and where it was transparent; what lies between may be either.
Why keeps_alpha(const Tested& tested) {
    DrawOptions options = tested.sized(12, 16, PUMICE_PICTURE_RGBA8);
    options.row_of_alpha = options.height / 2;
    const Drawn drawn = tested.draw(options);
    if (Why why = trouble(drawn, options.format); !why.empty()) return why;
    const double rows = static_cast<double>(options.out_height) / options.height;
    for (std::uint32_t y = 0; y < options.out_height; ++y) {
        const double from = (y + 0.5) / rows - options.row_of_alpha;
        if (std::fabs(from) < 4) continue;
        for (std::uint32_t x = 0; x < options.out_width; ++x) {
            const int alpha = static_cast<int>(drawn.pixels[(std::size_t(y) * options.out_width + x) * 4 + 3]);
            if (std::abs(alpha - (from < 0 ? 0 : 255)) > 2)
                return fmt::format("pixel ({}, {}) of {}x{} has an alpha of {}, where the picture's is {}", x, y,
                                   options.out_width, options.out_height, alpha, from < 0 ? 0 : 255);
        }
    }
    return "";
}

/// Part `done` of `all`, from 1 to the last.
Why tells(const Tested& tested) {
    const Drawn drawn = tested.draw(tested.options());
    if (Why why = trouble(drawn, PUMICE_PICTURE_RGB8); !why.empty()) return why;
    if (drawn.steps.empty()) return "it never tells pumice.progress/1 of a part";
    for (std::size_t i = 0; i < drawn.steps.size(); ++i) {
        const auto& [done, all] = drawn.steps[i];
        if (done > all || (i > 0 && done <= drawn.steps[i - 1].first))
            return fmt::format("it tells of part {} of {} after part {}", done, all,
                               i > 0 ? drawn.steps[i - 1].first : 0);
    }
    return "";
}

/// The file is another's, none at all, or not there.
Why refuses_files(const Tested& tested) {
    if (!needs_model(tested)) return "";
    const std::filesystem::path& folder = tested.drawer.plugin.subject.folder;
    PUMICE_VERIFY_ASSIGN(const std::string other, make_other(folder));
    PUMICE_VERIFY_ASSIGN(const std::string text, make_text(folder));
    Drawn own;
    const double scale = tested.drawer.inspect(tested.model, own);
    if (!own.thrown.empty() || !own.error.empty()) return own.thrown.empty() ? own.error : own.thrown;
    if (!(scale >= 1.0 / 16 && scale <= 64)) return fmt::format("inspect gives a factor of {}, not 1/16 to 64", scale);
    for (const std::string& file : {other, text, (folder / "absent").string(), std::string()}) {
        Drawn drawn;
        (void)tested.drawer.inspect(file, drawn);
        const bool is_other = file == other;
        if (!drawn.thrown.empty()) return drawn.thrown;
        if (drawn.status == PUMICE_SDK_OK && drawn.error.empty())
            return fmt::format("inspect takes {}",
                               is_other ? "a file of weights that is no network's" : "a file that is none");
        if (is_other && drawn.status != PUMICE_SDK_UNSUPPORTED)
            return fmt::format("inspect gave status {} for another's file, not PUMICE_SDK_UNSUPPORTED", drawn.status);
        DrawOptions options = tested.options();
        options.model = file;
        const Drawn run = tested.draw(options);
        if (!run.thrown.empty()) return run.thrown;
        if (run.error.empty()) return "it runs with a file that is not its own";
    }
    return "";
}

}  // namespace

Checks upscaler_checks(const Plugin& plugin) {
    static constexpr PictureCheck kOwn[] = {
        {"gives the size that is asked for", any_factor},
        {"keeps what is transparent", keeps_alpha},
        {"tells of its parts", tells},
        {"refuses a file that is not its own", refuses_files},
    };
    Checks all;
    for (std::uint32_t i = 0; i < plugin.description().upscalers.size(); ++i)
        for (Check& check : picture_checks({plugin, i, Craft::upscaler}, "upscaler", kOwn))
            all.push_back(std::move(check));
    return all;
}

}  // namespace pumice::verify
