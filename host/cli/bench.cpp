// pumice bench and pumice bench compare.
#include <filesystem>

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "bench/report/document.hpp"
#include "bench/report/page.hpp"
#include "bench/report/tables.hpp"
#include "cli/commands.hpp"
#include "cli/interrupt.hpp"
#include "cli/progress.hpp"
#include "cli/starter.hpp"
#include "image/atomic_file.hpp"
#include "outcome.hpp"

namespace pumice::cli {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

Expected<void> write_text(const std::string& file, const std::string& text) {
    HOST_TRY(host::write_file(file, {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()},
                              host::Existing::replace));
    return {};
}

Expected<BenchOptions> options_of(const Context& context) {
    const BenchLine& line = context.line.bench;
    BenchOptions options;
    options.device = context.settings.device.value_or("");
    options.precision = precision_of(context.settings);
    options.quick = line.quick;
    options.only = line.only;
    options.repeats = line.repeats;
    if (line.quick) {
        HOST_ASSIGN(const fs::path starter, starter_model());
        options.model = starter.string();
        options.control_model = (starter.parent_path() / "starter_canny.safetensors").string();
    } else if (line.model) {
        HOST_ASSIGN(const fs::path model, find_model(*line.model, context.settings));
        options.model = model.string();
        if (line.control) {
            HOST_ASSIGN(const fs::path control, find_model(*line.control, context.settings));
            options.control_model = control.string();
        }
    }
    const fs::path work = context.settings.cache_folder.value_or(fs::temp_directory_path().string());
    std::error_code error;
    fs::create_directories(work, error);
    options.work_folder = work.string();
    const char* validation = std::getenv("PUMICE_VALIDATION");
    options.validation = validation && *validation == '1';
    return options;
}

/// Before minutes of work.
Expected<void> check_outputs(const BenchLine& line) {
    for (const auto* file : {&line.json, &line.html})
        if (*file) HOST_TRY(host::check_writable(**file));
    if (line.json && line.html && fs::path(*line.json).lexically_normal() == fs::path(*line.html).lexically_normal())
        return Failure{PUMICE_INVALID_ARGUMENT, "--json and --html name the same file"};
    return {};
}

}  // namespace

Expected<void> run_bench(const Context& context) {
    const BenchLine& line = context.line.bench;
    HOST_TRY(check_outputs(line));
    Interrupt interrupt;
    // Files of gigabytes are taken away at the end, which a signal waits for.
    const auto held = interrupt.hold();
    HOST_ASSIGN(const Plugins plugins, find_plugins(context));
    HOST_ASSIGN(BenchOptions options, options_of(context));
    int messages = 0;
    const bool quiet = context.line.quiet;
    options.log = [&messages](pumice_log_level level, std::string_view text) {
        if (level < PUMICE_LOG_WARNING) return;
        if (level == PUMICE_LOG_ERROR) ++messages;
        fmt::print(stderr, "pumice: {}: {}\n", level == PUMICE_LOG_ERROR ? "validation" : "warning", text);
    };
    options.on_progress = [quiet](std::string_view what) {
        if (!quiet) fmt::print(stderr, "{}\n", what);
    };
    options.cancel = &interrupt.cancel();
    options.plugins = &plugins;
    HOST_ASSIGN(const std::string measured, pumice::bench(options));
    const Json made = report::finish(Json::parse(measured));
    if (line.json) HOST_TRY(write_text(*line.json, made.dump(1) + "\n"));
    if (line.html) HOST_TRY(write_text(*line.html, report::page({made})));
    fmt::print("{}", report::report_text(made));
    if (messages > 0)
        return Failure{PUMICE_INTERNAL, fmt::format("a bug of Pumice: {} messages of the validation layer", messages)};
    if (!made["valid"].get<bool>())
        return Failure{PUMICE_INTERNAL, "the device, its driver or Pumice computes wrong: see the lines with INVALID"};
    return {};
}

Expected<void> run_bench_compare(const Context& context) {
    if (context.line.bench.html) HOST_TRY(host::check_writable(*context.line.bench.html));
    std::vector<Json> reports;
    for (const std::string& file : context.line.files) {
        HOST_ASSIGN(Json read, report::read_report(file));
        reports.push_back(std::move(read));
    }
    HOST_TRY(report::check_comparable(reports, context.line.files));
    if (context.line.bench.html) HOST_TRY(write_text(*context.line.bench.html, report::page(reports)));
    fmt::print("{}", report::comparison_text(reports));
    return {};
}

}  // namespace pumice::cli
