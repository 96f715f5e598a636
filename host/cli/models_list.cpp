// pumice models list and pumice models verify.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/interrupt.hpp"
#include "cli/progress.hpp"
#include "cli/starter.hpp"
#include "cli/table.hpp"
#include "outcome.hpp"

namespace pumice::cli {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

struct Listed {
    ModelEntry entry;
    ModelFacts facts;
    std::string problem;  ///< why it cannot be read
};

std::uint64_t bytes_below(const fs::path& folder) {
    std::error_code error;
    std::uint64_t sum = 0;
    for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
        if (it->is_regular_file(error)) sum += it->file_size(error);
    return sum;
}

void print_table(const std::vector<Listed>& models) {
    std::vector<std::vector<std::string>> rows = {{"name", "kind", "family", ">size", "hash", "title"}};
    for (const Listed& m : models)
        rows.push_back({m.entry.name, m.entry.kind ? to_string(*m.entry.kind) : "",
                        m.problem.empty() ? m.facts.family : "cannot be read", size_text(m.entry.bytes),
                        m.facts.sha256.substr(0, 10), m.facts.title});
    fmt::print("{}", table_text(std::move(rows)));
    for (const Listed& m : models)
        if (!m.problem.empty()) fmt::print(stderr, "note: {}\n", m.problem);
}

void print_json(const std::vector<Listed>& models) {
    Json all = Json::array();
    for (const Listed& m : models)
        all.push_back({{"file", m.entry.path.string()},
                       {"name", m.entry.name},
                       {"kind", m.entry.kind ? Json(to_string(*m.entry.kind)) : Json()},
                       {"family", m.facts.family},
                       {"bytes", m.entry.bytes},
                       {"sha256", m.facts.sha256},
                       {"title", m.facts.title},
                       {"problem", m.problem}});
    fmt::print("{}\n", Json{{"models", all}}.dump(2, ' ', false, Json::error_handler_t::replace));
}

std::string not_finite_text(const Json& t) {
    return fmt::format("{}: {} NaN and {} infinite of {} elements", t["tensor"].get<std::string>(),
                       t["nan"].get<std::uint64_t>(), t["infinite"].get<std::uint64_t>(),
                       t["elements"].get<std::uint64_t>());
}

/// The line that ends the command; nothing for a sound file.
Expected<void> judged(const Json& report, const std::string& wanted) {
    const std::string file = report["file"].get<std::string>(), digest = report["sha256"].get<std::string>();
    if (!digest.starts_with(wanted))
        return Failure{PUMICE_BAD_FORMAT, fmt::format("{}: its SHA-256 is {}, not {}", file, digest, wanted)};
    if (const auto& incomplete = report["incomplete"].get_ref<const std::string&>(); !incomplete.empty())
        return Failure{PUMICE_BAD_FORMAT, fmt::format("{}: {}", file, incomplete)};
    if (const std::size_t n = report["not_finite"].size(); n > 0)
        return Failure{PUMICE_NOT_FINITE, fmt::format("{}: {} with values that are no finite numbers, the first: {}",
                                                      file, n == 1 ? "a tensor" : fmt::format("{} tensors", n),
                                                      not_finite_text(report["not_finite"][0]))};
    return {};
}

}  // namespace

Expected<void> run_models_list(const Context& context) {
    const auto& folders = context.settings.models_folders;
    if (!folders)
        return Failure{PUMICE_INVALID_ARGUMENT,
                       "no model folders are known: set models in [paths] of the configuration file, or PUMICE_MODELS"};
    ModelCache cache = model_cache(context.settings);
    ProgressView view(stderr, ProgressView::style_for(stderr, context.line.quiet || context.line.json));
    std::vector<Listed> models;
    for (ModelEntry& entry : list_models(*folders)) {
        Listed listed{std::move(entry), {}, {}};
        view.loading(listed.entry.name);
        const auto facts = cache.facts(listed.entry, !context.line.no_hash);
        if (facts)
            listed.facts = *facts;
        else
            listed.problem = facts.failure().message;
        if (listed.entry.bytes == 0) listed.entry.bytes = bytes_below(listed.entry.path);
        models.push_back(std::move(listed));
    }
    view.clear();
    cache.save();
    if (context.line.json)
        print_json(models);
    else
        print_table(models);
    return {};
}

Expected<void> run_models_verify(const Context& context) {
    HOST_ASSIGN(const auto model, find_model(context.line.file, context.settings));
    const Interrupt interrupt;
    ProgressView view(stderr, ProgressView::style_for(stderr, context.line.quiet));
    const auto on_progress = [&view](std::uint64_t done, std::uint64_t total) { view.read(done, total); };
    HOST_ASSIGN(const std::string text, verify_model(model.string(), on_progress, &interrupt.cancel()));
    view.clear();
    const Json report = Json::parse(text);
    if (context.line.json) {
        fmt::print("{}\n", report.dump(2, ' ', false, Json::error_handler_t::replace));
        return judged(report, context.line.sha256);
    }
    const auto& incomplete = report["incomplete"].get_ref<const std::string&>();
    std::vector<std::vector<std::string>> rows = {{"file", report["file"].get<std::string>()},
                                                  {"format", report["format"].get<std::string>()},
                                                  {"family", report["family"].get<std::string>()},
                                                  {"sha256", report["sha256"].get<std::string>()},
                                                  {"tensors", fmt::to_string(report["tensors"].get<std::uint64_t>())},
                                                  {"complete", incomplete.empty() ? "yes" : incomplete}};
    if (report["not_finite"].empty()) rows.push_back({"finite", "all values"});
    for (const Json& t : report["not_finite"]) rows.push_back({"not finite", not_finite_text(t)});
    fmt::print("{}", table_text(std::move(rows)));
    return judged(report, context.line.sha256);
}

}  // namespace pumice::cli
