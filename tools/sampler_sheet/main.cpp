// sampler_sheet: a picture with every pair of sampler and schedule, or a contact sheet of all samplers.
//
//     sampler_sheet --model starter.safetensors                    every pair, two steps at 64x64: which make no picture
//     sampler_sheet --model starter.safetensors --sheet sheet.png  all samplers, 12 steps, five in a row
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/exit_codes.hpp"
#include "image/atomic_file.hpp"
#include "image/png.hpp"
#include "outcome.hpp"
#include "pumice/pumice.hpp"

namespace pumice {
namespace {

struct Options {
    std::string model, device, sheet, schedule = "karras", prompt = "a lighthouse at sunset";
    std::uint32_t steps = 0, size = 64, every = 1, columns = 5;
    std::uint64_t seed = 7;
    float cfg = 1;
};

struct Pixels {
    std::uint32_t width = 0, height = 0;
    std::vector<std::uint8_t> rgb;
};

/// The deviation of the bytes: 0 for a picture of one colour.
double deviation(std::span<const std::uint8_t> rgb) {
    double sum = 0, squares = 0;
    for (const std::uint8_t v : rgb) {
        sum += v;
        squares += double(v) * v;
    }
    const double mean = sum / static_cast<double>(rgb.size());
    return std::sqrt(std::max(0.0, squares / static_cast<double>(rgb.size()) - mean * mean));
}

class Sheet {
public:
    Sheet(Model& model, const Options& options) : model_(model), options_(options) {}

    Expected<Pixels> picture(const std::string& sampler, const std::string& schedule, std::uint32_t steps) {
        Request request = model_.defaults();
        request.prompt = options_.prompt;
        request.width = request.height = options_.size;
        request.steps = steps;
        request.guidance_scale = options_.cfg;
        request.sampler = sampler;
        request.schedule = schedule;
        request.seed = options_.seed;
        HOST_ASSIGN(const Images images, model_.generate(request));
        const auto image = images[0];
        return Pixels{image.width, image.height, {image.rgb.begin(), image.rgb.end()}};
    }

    /// How many pairs made no picture; each is a line on stderr.
    std::size_t pairs(const Plugins& plugins) {
        std::size_t index = 0, tried = 0, bad = 0;
        for (const std::string_view sampler : plugins.samplers())
            for (const std::string_view schedule : plugins.schedules()) {
                if (index++ % options_.every != 0) continue;
                ++tried;
                const auto made =
                    picture(std::string(sampler), std::string(schedule), options_.steps > 0 ? options_.steps : 2);
                // Two steps leave much noise, which is a picture here; a surface of one colour is none.
                const std::string why = !made                        ? made.failure().message
                                        : deviation(made->rgb) < 2.0 ? std::string("a picture of one colour")
                                                                     : std::string();
                if (why.empty()) continue;
                ++bad;
                fmt::print(stderr, "{} with {}: {}\n", sampler, schedule, why);
            }
        fmt::print("{} of {} pairs of sampler and schedule tried, {} made no picture\n", tried, index, bad);
        return bad;
    }

    Expected<void> sheet(const Plugins& plugins) {
        constexpr std::uint32_t kGap = 4;
        const auto samplers = plugins.samplers();
        const auto count = static_cast<std::uint32_t>(samplers.size());
        const std::uint32_t rows = (count + options_.columns - 1) / options_.columns;
        Pixels all{options_.columns * (options_.size + kGap) - kGap, rows * (options_.size + kGap) - kGap, {}};
        all.rgb.assign(std::size_t(all.width) * all.height * 3, 255);
        for (std::uint32_t i = 0; i < count; ++i) {
            HOST_ASSIGN(const Pixels made, picture(std::string(samplers[i]), options_.schedule,
                                                   options_.steps > 0 ? options_.steps : 12));
            const std::size_t left = std::size_t(i % options_.columns) * (options_.size + kGap),
                              top = std::size_t(i / options_.columns) * (options_.size + kGap);
            for (std::size_t y = 0; y < made.height; ++y)
                std::copy_n(made.rgb.begin() + static_cast<std::ptrdiff_t>(y * made.width * 3), made.width * 3,
                            all.rgb.begin() + static_cast<std::ptrdiff_t>(((top + y) * all.width + left) * 3));
            fmt::print("row {} column {}: {}\n", i / options_.columns + 1, i % options_.columns + 1, samplers[i]);
            std::fflush(stdout);
        }
        HOST_ASSIGN(const auto png, host::encode_png({all.width, all.height, all.rgb, ""}));
        HOST_TRY(host::write_file(options_.sheet, png, host::Existing::replace));
        return {};
    }

private:
    Model& model_;
    const Options& options_;
};

Expected<int> run(const Options& options) {
    HOST_ASSIGN(const Plugins plugins, Plugins::find());
    EngineOptions engine_options;
    engine_options.device = options.device;
    engine_options.plugins = &plugins;
    HOST_ASSIGN(const Engine engine, Engine::create(engine_options));
    HOST_ASSIGN(Model model, Model::load(engine, options.model));
    Sheet sheet(model, options);
    if (options.sheet.empty()) return sheet.pairs(plugins) == 0 ? 0 : 1;
    HOST_TRY(sheet.sheet(plugins));
    return 0;
}

}  // namespace
}  // namespace pumice

int main(int argc, char** argv) {
    pumice::Options options;
    CLI::App app("A picture with every pair of sampler and schedule, or a contact sheet of all samplers.");
    app.add_option("--model", options.model, "a checkpoint")->required();
    app.add_option("--device", options.device, "as pumice generate --device");
    app.add_option("--sheet", options.sheet, "PNG to write; without it all pairs are tried");
    app.add_option("--schedule", options.schedule, "of the sheet");
    app.add_option("--prompt", options.prompt);
    app.add_option("--seed", options.seed);
    app.add_option("--steps", options.steps, "by default 2 a pair, 12 on the sheet");
    app.add_option("--size", options.size, "side of a picture in pixels");
    app.add_option("--cfg", options.cfg, "guidance");
    app.add_option("--columns", options.columns)->check(CLI::Range(1, 100));
    app.add_option("--every", options.every, "every Nth pair alone")->check(CLI::Range(1, 1000));
    CLI11_PARSE(app, argc, argv);
    const auto outcome = pumice::run(options);
    if (outcome) return *outcome;
    fmt::print(stderr, "sampler_sheet: {}\n", outcome.failure().message);
    return pumice::cli::exit_code(outcome.failure().status);
}
