// pumice convert, and what else writes models.
#include <chrono>

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/adapter_folders.hpp"
#include "cli/commands.hpp"
#include "cli/interrupt.hpp"
#include "cli/progress.hpp"
#include "cli/starter.hpp"
#include "outcome.hpp"

namespace pumice::cli {
namespace {

using Json = nlohmann::ordered_json;

/// The files that the options name, by the names that users give models.
Expected<void> find_parts(WriteOptions& options, const host::Settings& settings) {
    for (const auto& [part, kind] :
         {std::pair(&options.vae, ModelKind::vae), std::pair(&options.text_encoder, ModelKind::text_encoder)}) {
        if (part->empty()) continue;
        HOST_ASSIGN(const auto file, find_model(*part, settings, kind));
        *part = file.string();
    }
    return {};
}

void print_report(const CommandLine& line, const std::string& text, double seconds) {
    Json report = Json::parse(text);
    if (line.json) {
        report["seconds"] = seconds;
        fmt::print("{}\n", report.dump(2, ' ', false, Json::error_handler_t::replace));
        return;
    }
    fmt::print("{}\n", report["file"].get<std::string>());
    if (line.quiet) return;
    for (const auto& note : report["notes"]) fmt::print(stderr, "note: {}\n", note.get<std::string>());
    std::string types;
    for (const auto& [name, sum] : report["dtypes"].items())
        types += fmt::format("{}{} {}", types.empty() ? "" : ", ", sum["tensors"].get<std::uint64_t>(), name);
    fmt::print(stderr, "{}, {} tensors ({}), {}, in {:.1f} s\n", report["format"].get<std::string>(),
               report["tensors"].get<std::uint64_t>(), types, size_text(report["bytes"].get<std::uint64_t>()), seconds);
}

}  // namespace

namespace {

/// Runs `make` (WriteOptions → report) with progress and Ctrl-C, and prints what it gives.
template <class Make>
Expected<void> write_model(const Context& context, Make&& make) {
    const auto begin = std::chrono::steady_clock::now();
    WriteOptions options = context.line.write;
    HOST_TRY(find_parts(options, context.settings));
    Interrupt interrupt;
    ProgressView view(stderr, ProgressView::style_for(stderr, context.line.quiet));
    options.on_progress = [&view](std::uint64_t done, std::uint64_t total) { view.written(done, total); };
    options.cancel = &interrupt.cancel();
    // What is half written is taken away before the program ends.
    const auto held = interrupt.hold();
    HOST_ASSIGN(const std::string report, make(options));
    view.clear();
    print_report(context.line, report, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    return {};
}

}  // namespace

Expected<void> run_convert(const Context& context) {
    HOST_ASSIGN(const auto model, find_model(context.line.file, context.settings));
    return write_model(
        context, [&](const WriteOptions& options) { return convert(model.string(), *context.line.output, options); });
}

Expected<void> run_merge(const Context& context) {
    MergeRequest request = context.line.merge;
    for (std::string* const name : {&request.a, &request.b, &request.c}) {
        if (name->empty()) continue;
        HOST_ASSIGN(const auto file, find_model(*name, context.settings));
        *name = file.string();
    }
    return write_model(context,
                       [&](const WriteOptions& options) { return merge(request, *context.line.output, options); });
}

Expected<void> run_bake_lora(const Context& context) {
    HOST_ASSIGN(const auto model, find_model(context.line.file, context.settings));
    std::vector<Adapter> adapters;
    for (const std::string& option : context.line.loras) {
        HOST_ASSIGN(const LoraOption lora, lora_option(option));
        HOST_ASSIGN(const auto file, find_model(lora.name, context.settings, ModelKind::lora));
        adapters.push_back({file.string(), lora.text_weight, lora.unet_weight});
    }
    return write_model(context, [&](const WriteOptions& options) {
        return bake(model.string(), adapters, *context.line.output, options);
    });
}

Expected<void> run_extract_lora(const Context& context) {
    ExtractRequest request = context.line.extract;
    for (std::string* const name : {&request.tuned, &request.base}) {
        HOST_ASSIGN(const auto file, find_model(*name, context.settings));
        *name = file.string();
    }
    return write_model(context,
                       [&](const WriteOptions& options) { return extract(request, *context.line.output, options); });
}

}  // namespace pumice::cli
