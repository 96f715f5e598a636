// pumice_bench ops
#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

#include <fmt/format.h>
#include <unistd.h>

#include "bench.hpp"
#include "cases.hpp"
#include "cli/table.hpp"
#include "measure.hpp"

namespace pumice::bench {
namespace {

std::string milliseconds(double seconds) {
    const double ms = seconds * 1e3;
    return fmt::format("{:.{}f}", ms, ms < 1 ? 4 : ms < 100 ? 2 : 0);
}

double share(const Case& c, const Measurement& m, const Peaks& peaks) {
    return c.arithmetic ? m.gflops() / peaks.f32_gflops : m.gbps() / peaks.copy_gbps;
}

std::vector<std::string> row(const Case& c, const Measurement& m, const Peaks& peaks) {
    const std::string error = fmt::format("{:.1e}", m.error);
    std::vector<std::string> cells{c.op, c.set, c.name, m.variant.empty() ? "" : m.variant + (m.chosen ? " *" : "")};
    if (!m.correct())
        cells.insert(cells.end(), {"", "", "WRONG", "", error});
    else
        cells.insert(cells.end(),
                     {milliseconds(m.timing.median()), fmt::format("{:.0f}%", 100 * m.timing.spread()),
                      c.arithmetic ? fmt::format("{:.1f} GFLOP/s", m.gflops()) : fmt::format("{:.2f} GB/s", m.gbps()),
                      fmt::format("{:.0f}%", 100 * share(c, m, peaks)), error});
    return cells;
}

nlohmann::ordered_json record(const Case& c, const Measurement& m, const Peaks& peaks) {
    nlohmann::ordered_json json{{"operator", c.op},         {"set", c.set},          {"case", c.name},
                                {"variant", m.variant},     {"chosen", m.chosen},    {"error", m.error},
                                {"tolerance", m.tolerance}, {"correct", m.correct()}};
    if (!m.correct()) return json;
    json["milliseconds"] = to_json(m.timing);
    json["flops"] = m.flops, json["bytes"] = m.bytes;
    json["gflops"] = m.gflops(), json["gbps"] = m.gbps();
    json["of_peak"] = share(c, m, peaks);
    return json;
}

std::vector<Case> chosen_cases(const OpsOptions& what) {
    std::vector<Case> cases = all_cases();
    // A whole operator by its name, anything else by a part.
    const bool is_operator = std::any_of(cases.begin(), cases.end(), [&](const Case& c) { return c.op == what.only; });
    std::erase_if(cases, [&](const Case& c) {
        return is_operator ? c.op != what.only : c.path().find(what.only) == std::string::npos;
    });
    if (!what.quick) return cases;
    // The smallest shapes that an operator has.
    static constexpr std::array<std::string_view, 5> by_size{"ragged", "text", "unet 256", "unet 512", "vae 512"};
    const auto size = [](const Case& c) { return std::find(by_size.begin(), by_size.end(), c.set); };
    std::vector<Case> smallest;
    for (Case& c : cases) {
        const auto at = std::find_if(smallest.begin(), smallest.end(), [&](const Case& s) { return s.op == c.op; });
        if (at == smallest.end())
            smallest.push_back(std::move(c));
        else if (size(c) < size(*at))
            *at = std::move(c);
    }
    return smallest;
}

}  // namespace

Result<int> run_ops(const Options& options, const OpsOptions& what) {
    const std::vector<Case> cases = chosen_cases(what);
    if (cases.empty())
        return Error{Code::not_found, "no case has '" + what.only + "' in its name; --list shows them all"};
    if (what.list) {
        for (const Case& c : cases) fmt::print("{}\n", c.path());
        return 0;
    }
    PUMICE_ASSIGN(const Bench bench, Bench::open(options));
    PUMICE_ASSIGN(const Peaks peaks, measure_peaks(bench));
    nlohmann::ordered_json document = bench.record();
    document["peaks"] = to_json(peaks);
    document["results"] = nlohmann::ordered_json::array();
    std::vector<std::vector<std::string>> rows{
        {"operator", "shapes of", "case", "variant", ">ms", ">spread", ">rate", ">of peak", ">error"}};
    std::size_t wrong = 0, done = 0;
    const bool terminal = isatty(STDERR_FILENO) != 0;
    for (const Case& c : cases) {
        if (terminal) fmt::print(stderr, "\r\033[K{}/{} {}", ++done, cases.size(), c.path());
        auto measured = measure(bench, c, what.all_variants);
        if (!measured) {
            if (terminal) fmt::print(stderr, "\n");
            measured.error().message = c.path() + ": " + measured.error().message;
            return std::move(measured.error());
        }
        for (const Measurement& m : *measured) {
            rows.push_back(row(c, m, peaks));
            document["results"].push_back(record(c, m, peaks));
            if (!m.correct()) ++wrong;
        }
    }
    if (terminal) fmt::print(stderr, "\r\033[K");
    fmt::print("{}\n{}\n\n{}", bench.title(), describe(peaks), cli::table_text(std::move(rows)));
    if (what.all_variants) fmt::print("* the variant that the operator chooses\n");
    if (wrong > 0) fmt::print("{} wrong results\n", wrong);
    if (!options.json.empty()) PUMICE_TRY(write_json(options.json, document));
    return wrong > 0 || *bench.validation_messages > 0 ? 1 : 0;
}

}  // namespace pumice::bench
