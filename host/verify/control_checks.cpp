// pumice.control/1: residuals that fit the UNet, from a model of the plugin's own.
#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include <fmt/format.h>

#include "pumice/sdk/ext/graph.h"
#include "pumice/sdk/ext/kernel.h"
#include "pumice/sdk/ext/log.h"
#include "pumice/sdk/ext/math.h"
#include "pumice/sdk/ext/weights.h"
#include "verify/controlling.hpp"

namespace pumice::verify {
namespace {

/// A kind of control, with a file that it takes.
struct Tested {
    Plugin plugin;
    std::uint32_t index;
    MadeFile file = {};
    Why lacking = {};  ///< why it cannot be run here; "": it can
    const plugins::Method& method() const { return plugin.description().controls[index]; }
    ControlOptions options() const {
        ControlOptions options;
        options.file = file;
        options.params = trials(method()).front().values;
        for (std::size_t i = 0; i < method().params.size(); ++i)
            if (method().params[i].type == PUMICE_PARAM_FILE)
                if (const GivenFile* given = plugin.subject.find(method().name + "." + method().params[i].id))
                    options.params[i].text = given->file;
        return options;
    }
    Controlled run(const ControlOptions& options) const { return control(plugin, index, options); }
};

Why trouble(const Controlled& done) {
    if (!done.thrown.empty()) return done.thrown;
    if (!done.error.empty()) return done.error;
    return done.wrote.empty() ? "" : "it wrote over " + done.wrote;
}

/// What a block of the UNet gives.
struct Place {
    std::string name;
    std::uint32_t h, w, channels;
};

std::vector<Place> places(const UnetShape& unet, std::uint32_t h, std::uint32_t w) {
    std::vector<Place> all;
    const auto add = [&](std::uint32_t channels) {
        all.push_back({fmt::format("input_blocks.{}", all.size()), h, w, channels});
    };
    add(unet.model_channels);
    for (std::size_t level = 0; level < unet.factors.size(); ++level) {
        const std::uint32_t channels = unet.model_channels * unet.factors[level];
        for (std::uint32_t i = 0; i < unet.res_blocks; ++i) add(channels);
        if (level + 1 == unet.factors.size()) break;
        h = (h + 1) / 2, w = (w + 1) / 2;
        add(channels);
    }
    all.push_back({"middle_block", h, w, all.back().channels});
    return all;
}

Why fits(const Residual& residual, const std::vector<Place>& all, std::uint32_t n) {
    const auto place = std::find_if(all.begin(), all.end(), [&](const Place& p) { return p.name == residual.block; });
    if (place == all.end()) return fmt::format("it adds to \"{}\", which is no block of the UNet", residual.block);
    const Shape& s = residual.shape;
    if ((s.n != 1 && s.n != n) || s.h != place->h || s.w != place->w || s.c != place->channels)
        return fmt::format("it adds {}x{}x{}x{} to {}, which gives {}x{}x{}x{}", s.n, s.h, s.w, s.c, residual.block, n,
                           place->h, place->w, place->channels);
    // The host multiplies by the user's weight: where that is 0, nothing may be left.
    for (const float v : residual.values)
        if (!std::isfinite(v))
            return fmt::format("what it adds to {} is not finite: a weight of 0 would change the picture",
                               residual.block);
    return "";
}

Why fits_the_unet(const Tested& tested) {
    ControlOptions options = tested.options();
    options.batches = {1, 2, 1};
    for (const auto& [h, w] : {std::pair{8u, 8u}, {16u, 8u}}) {
        options.side = h, options.other_side = w;
        const Controlled done = tested.run(options);
        if (Why why = trouble(done); !why.empty()) return fmt::format("a latent of {}x{}: {}", h, w, why);
        const std::vector<Place> all = places(tested.file.unet, h, w);
        for (std::size_t i = 0; i < done.residuals.size(); ++i) {
            if (done.residuals[i].empty()) return "it adds nothing";
            for (const Residual& residual : done.residuals[i])
                if (Why why = fits(residual, all, options.batches[i]); !why.empty())
                    return fmt::format("a latent of {}x{}, {} pictures: {}", h, w, options.batches[i], why);
        }
    }
    return "";
}

/// Steps append the same network each time, whatever was built between.
Why repeats(const Tested& tested) {
    ControlOptions options = tested.options();
    options.batches = {1, 2, 1};
    const Controlled first = tested.run(options), again = tested.run(options);
    for (const Controlled* each : {&first, &again})
        if (Why why = trouble(*each); !why.empty()) return why;
    if (first.residuals[0] != first.residuals[2]) return "its second step for one picture adds something else";
    return first.residuals == again.residuals ? "" : "two instances with the same arguments add different things";
}

Why any_parameters(const Tested& tested) {
    for (const Trial& trial : trials(tested.method())) {
        ControlOptions options = tested.options();
        for (std::size_t i = 0; i < options.params.size(); ++i)
            if (options.params[i].text.empty() || trial.what.starts_with(tested.method().params[i].id + "="))
                options.params[i] = trial.values[i];
        const Controlled done = tested.run(options);
        if (trial.what.ends_with("=\"\"") && done.thrown.empty() && !done.error.empty()) continue;
        if (Why why = trouble(done); !why.empty()) return fmt::format("{}: {}", trial.what, why);
    }
    return "";
}

Why refuses_files(const Tested& tested) {
    const std::filesystem::path& folder = tested.plugin.subject.folder;
    PUMICE_VERIFY_ASSIGN(const std::string other, make_other(folder));
    PUMICE_VERIFY_ASSIGN(const std::string text, make_text(folder));
    for (const std::string& file : {other, text, (folder / "absent").string(), std::string()}) {
        ControlOptions options = tested.options();
        options.file.path = file;
        options.open_only = true;
        const Controlled done = tested.run(options);
        if (!done.thrown.empty()) return done.thrown;
        if (done.error.empty())
            return fmt::format("open takes {}",
                               file == other ? "a file of weights that is no network's" : "a file that is none");
        if (file == other && done.status != PUMICE_SDK_UNSUPPORTED)
            return fmt::format("open gave status {} for another's file, not PUMICE_SDK_UNSUPPORTED", done.status);
    }
    ControlOptions wide = tested.options();
    wide.file.unet.model_channels *= 2;
    wide.file.unet.context_channels *= 2;
    // It may not look: the shapes do not fit then, and the host says so.
    const Controlled done = tested.run(wide);
    return done.thrown;
}

/// It may say so, and must not crash.
Why without_model(const Tested& tested) {
    ControlOptions options = tested.options();
    options.never_open = true;
    return tested.run(options).thrown;
}

Why hands_errors_on(const Tested& tested) {
    const Controlled whole = tested.run(tested.options());
    if (Why why = trouble(whole); !why.empty()) return why;
    // Every call of short networks, and about a hundred of others'; "cancelled" is an error like any.
    const int stride = std::max(1, whole.calls / 100);
    for (int call = 0; call < whole.calls; call += call < 20 ? 1 : stride)
        for (const Code code : {Code::out_of_device_memory, Code::cancelled}) {
            if (code == Code::cancelled && call % 8 != 0) continue;
            ControlOptions options = tested.options();
            options.fail_call = call;
            options.failure = {code, "as wanted"};
            const Controlled done = tested.run(options);
            if (Why why = ended_by_host(done, done.thrown, done.status, static_cast<pumice_sdk_status>(code) + 1);
                !why.empty())
                return fmt::format("call {} of {}: {}", call + 1, whole.calls, why);
            if (done.error.empty()) return fmt::format("call {} of {}: no error comes of it", call + 1, whole.calls);
        }
    return "";
}

Why other_hosts(const Tested& tested) {
    ControlOptions options = tested.options();
    const Controlled whole = tested.run(options);
    if (Why why = trouble(whole); !why.empty()) return why;
    options.future = true;
    const Controlled future = tested.run(options);
    if (Why why = trouble(future); !why.empty()) return "in a newer host: " + why;
    if (future.residuals != whole.residuals) return "in a newer host, with longer structs, it adds something else";
    options.future = false;
    for (const char* id : {PUMICE_HOST_GRAPH_1, PUMICE_HOST_KERNEL_1, PUMICE_HOST_WEIGHTS_1, PUMICE_HOST_MATH_1,
                           PUMICE_HOST_LOG_1, ""}) {
        options.hidden = id;
        const Controlled done = tested.run(options);
        if (!done.thrown.empty()) return fmt::format("without {}: {}", *id ? id : "any extension", done.thrown);
        if (done.error.empty() && done.residuals != whole.residuals)
            return fmt::format("without {} it says that all is well and adds something else",
                               *id ? id : "any extension");
    }
    return "";
}

/// UNets that a file the author names may be for.
std::vector<UnetShape> known_unets() {
    const UnetShape sd1{.family = "sd1"};
    const UnetShape sd2{.family = "sd2", .context_channels = 1024, .heads = 0, .head_channels = 64};
    const UnetShape sdxl{.family = "sdxl",
                         .context_channels = 2048,
                         .vector_channels = 2816,
                         .heads = 0,
                         .head_channels = 64,
                         .factors = {1, 2, 4}};
    return {sd1, sd2, sdxl};
}

/// The file that it takes: the author's, or one of those that can be made.
void find_file(Tested& tested) {
    const Subject& subject = tested.plugin.subject;
    if (!subject.device.device) {
        tested.lacking = subject.no_device;
        return;
    }
    const auto made = make_controls(subject.folder);
    if (!made) {
        tested.lacking = made.error().message;
        return;
    }
    std::vector<MadeFile> files = *made;
    const GivenFile* given = subject.find(tested.method().name);
    if (given) {
        std::vector<UnetShape> unets = known_unets();
        for (const MadeFile& each : *made) unets.push_back(each.unet);
        files.clear();
        for (UnetShape& unet : unets) files.push_back({given->file, std::move(unet)});
    }
    for (const MadeFile& file : files) {
        tested.file = file;
        ControlOptions options = tested.options();
        // A network may not look at the UNet when it is opened: then it is the one that it fits.
        options.open_only = given == nullptr;
        const Controlled done = tested.run(options);
        if (!done.error.empty() || !done.thrown.empty()) continue;
        const std::vector<Place> all = places(file.unet, options.side, options.other_side);
        const auto fitting = [&](const Residual& residual) { return fits(residual, all, 1).empty(); };
        if (!given || std::all_of(done.residuals[0].begin(), done.residuals[0].end(), fitting)) return;
    }
    // What is wrong with a file that was named is for the checks to say.
    tested.file = files.front();
    if (!given) tested.lacking = fmt::format("no model of its kind; name one: --file {}=FILE", tested.method().name);
}

}  // namespace

Checks control_checks(const Plugin& plugin) {
    const std::pair<const char*, Why (*)(const Tested&)> all[] = {
        {"adds what fits the UNet's blocks, and at weight 0 nothing", fits_the_unet},
        {"gives the same from the same", repeats},
        {"takes each parameter at both ends", any_parameters},
        {"refuses a file that is not its own", refuses_files},
        {"bears it that no model is open", without_model},
        {"hands on an error of each call to the host", hands_errors_on},
        {"runs in a newer host, and in one that lacks something", other_hosts},
    };
    Checks checks;
    for (std::uint32_t i = 0; i < plugin.description().controls.size(); ++i) {
        const auto tested = std::make_shared<std::optional<Tested>>();
        const auto get = [tested, plugin, i]() -> const Tested& {
            if (!*tested) {
                tested->emplace(Tested{plugin, i});
                find_file(**tested);
            }
            return **tested;
        };
        for (const auto& [name, check] : all) {
            const auto run = check;
            checks.push_back({fmt::format("control {}: {}", plugin.description().controls[i].name, name),
                              [get, run] { return run(get()); }, [get] { return get().lacking; }});
        }
    }
    return checks;
}

}  // namespace pumice::verify
