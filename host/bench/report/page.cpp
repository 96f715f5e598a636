#include "bench/report/page.hpp"

#include <algorithm>
#include <array>
#include <map>

#include <fmt/format.h>

#include "bench/report/charts.hpp"
#include "bench/report/tables.hpp"
#include "cli/commands.hpp"

namespace pumice::report {
namespace {

using Json = nlohmann::ordered_json;

// Colours that people who see few of them tell apart, light and dark.
constexpr const char* kStyle = R"(<style>
:root{color-scheme:light dark;--bg:#fbfaf8;--fg:#1f2328;--dim:#667;--line:#d9d9d4;--card:#fff;--bad:#b42318;
--c0:#2f6db5;--c1:#d9822b;--c2:#2a9d76;--c3:#b04a8f;--c4:#8a7a1f;--c5:#5d6fc4;--c6:#c2503d;--c7:#9a9a9a}
@media (prefers-color-scheme:dark){:root{--bg:#16181c;--fg:#e6e6e3;--dim:#9aa0a8;--line:#363a42;--card:#1e2127;--bad:#ff8a7a;
--c0:#6ea8ec;--c1:#f0a860;--c2:#5cc9a3;--c3:#dd8cc4;--c4:#cdbb5a;--c5:#9aa8f0;--c6:#f08a78;--c7:#80858d}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif}
main{max-width:68rem;margin:0 auto;padding:1rem}h1{font-size:1.5rem;margin:.5rem 0}h2{font-size:1.15rem;margin:2rem 0 .5rem}
p{margin:.4rem 0}.dim{color:var(--dim)}.bad{color:var(--bad);font-weight:600}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,17rem),1fr));gap:.8rem}
.card{max-width:36rem;background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.7rem .9rem}.card b{font-size:1.02rem}
dl{display:grid;grid-template-columns:auto 1fr;gap:.1rem .8rem;margin:.4rem 0}dt{color:var(--dim)}
dd{margin:0;text-align:right;overflow-wrap:anywhere}
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;min-width:100%}
th,td{padding:.25rem .6rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}
th:first-child,td:first-child{text-align:left;padding-left:0}th{color:var(--dim);font-weight:500}
svg{display:block;width:100%;max-width:44rem;height:auto;margin:.5rem 0}.t{font-size:12px;fill:var(--fg)}.h{font-weight:600}
.m{fill:var(--dim);font-size:11px}.grid{stroke:var(--line)}.roof{stroke-width:2;fill:none}.dot{fill-opacity:.75}
.key{display:flex;flex-wrap:wrap;gap:.2rem 1rem}.key i{display:inline-block;width:.8em;height:.8em;border-radius:2px;
margin-right:.35em}code{overflow-wrap:anywhere}
)";

std::string style() {
    std::string text = kStyle;
    for (std::size_t i = 0; i < kColours; ++i)
        text += fmt::format(".c{0}{{fill:var(--c{0});background:var(--c{0})}}.s{0}{{stroke:var(--c{0})}}", i);
    return text + "\n</style>\n";
}

double number(const Json& value) {
    return value.is_number() ? value.get<double>() : 0;
}
std::string word(const Json& object, const char* key) {
    return object.contains(key) && object[key].is_string() ? object[key].get<std::string>() : "";
}
std::string bytes(const Json& value) {
    return value.is_number() ? cli::size_text(value.get<std::uint64_t>()) : "";
}
std::string or_none(const Json& value, const char* unit) {
    return value.is_number() ? fmt::format("{:.1f} {}", value.get<double>(), unit) : "none";
}

/// Shortened, but for what says that the source was changed.
std::string commit(const std::string& whole) {
    const std::size_t dash = whole.find('-');
    return whole.substr(0, std::min<std::size_t>(12, dash)) + (dash == std::string::npos ? "" : whole.substr(dash));
}

std::string row(const std::vector<std::string>& cells, const char* kind = "td") {
    std::string text = "<tr>";
    for (const std::string& cell : cells) text += fmt::format("<{0}>{1}</{0}>", kind, cell);
    return text + "</tr>\n";
}

std::string table(const std::vector<std::string>& heading, const std::vector<std::vector<std::string>>& rows) {
    std::string text = "<div class=\"wide\"><table>\n" + row(heading, "th");
    for (const auto& cells : rows) text += row(cells);
    return text + "</table></div>\n";
}

std::string key(const std::vector<std::pair<std::size_t, std::string>>& entries) {
    std::string text = "<div class=\"key\">";
    for (const auto& [colour, name] : entries)
        text += fmt::format("<span><i class=\"c{}\"></i>{}</span>", colour % kColours, escaped(name));
    return text + "</div>\n";
}

std::vector<std::pair<std::size_t, std::string>> device_key(const std::vector<Json>& reports) {
    std::vector<std::pair<std::size_t, std::string>> entries;
    for (std::size_t i = 0; i < reports.size(); ++i) entries.emplace_back(i, fmt::format("{}: {}", i + 1, title(reports[i])));
    return entries;
}

std::string card(const Json& report, std::size_t colour, bool several) {
    const Json &device = report["device"], &peaks = report["peaks"], &host = report["host"];
    const std::vector<std::pair<const char*, std::string>> facts = {
        {"kind", word(device, "type")},
        {"driver", word(device, word(device, "driver_info").empty() ? "driver_name" : "driver_info")},
        {"precision", word(report, "precision") + ", held against " + word(report, "reference")},
        {"peak, fp32", or_none(peaks["fp32_gflops"], "GFLOP/s")},
        {"peak, fp16", or_none(peaks["fp16_gflops"], "GFLOP/s")},
        {"peak, int8", or_none(peaks["int8_gops"], "Gop/s")},
        {"peak, matrices", or_none(peaks["matrix_gflops"], "GFLOP/s")},
        {"peak, copy", or_none(peaks["copy_gbps"], "GB/s")},
        {"launch", seconds_text(number(peaks["launch_seconds"]))},
        {"one more dispatch", seconds_text(number(peaks["dispatch_seconds"]))},
        {"largest buffer", bytes(peaks["largest_buffer"])},
        {"processor", word(host, "processor")},
        {"system", word(host, "system")},
        {"Pumice", word(report["pumice"], "version") + " " + commit(word(report["pumice"], "commit"))},
        {"measured", word(report, "created")}};
    std::string text = "<div class=\"card\">";
    if (several) text += fmt::format("<div class=\"key\"><span><i class=\"c{}\"></i><b>{}</b></span></div>", colour % kColours,
                                     escaped(fmt::format("{}: {}", colour + 1, word(device, "name"))));
    else
        text += "<b>" + escaped(word(device, "name")) + "</b>";
    text += "<dl>";
    for (const auto& [name, value] : facts) text += fmt::format("<dt>{}</dt><dd>{}</dd>", name, escaped(value));
    text += "</dl>";
    for (const Json& note : report["notes"]) text += "<p class=\"dim\">" + escaped(note.get<std::string>()) + "</p>";
    return text + "</div>\n";
}

std::string quality_text(const Json& result) {
    const Json& q = result["quality"];
    if (!q["valid"].get<bool>()) return "<span class=\"bad\">invalid</span>";
    if (q["identical"].get<bool>()) return "identical";
    return q["psnr"].is_number() ? fmt::format("{:.1f} dB", q["psnr"].get<double>()) : "ok";
}

std::string results_table(const Json& report) {
    std::vector<std::vector<std::string>> rows;
    bool energy = false;
    for (const Json& r : report["results"]) energy = energy || r["energy"].is_object();
    for (const Json& r : report["results"]) {
        const Json& warm = r["warm"];
        rows.push_back({escaped(word(r, "name")), r["cold"].is_number() ? seconds_text(number(r["cold"])) : "",
                        seconds_text(number(r["first"])), seconds_text(number(warm["median"])),
                        fmt::format("{:.0f}% of {}", 100 * number(warm["spread"]), warm["n"].get<int>()),
                        r["seconds_per_image"].is_number() ? seconds_text(number(r["seconds_per_image"])) : "",
                        bytes(r["memory"]["device_peak"]), bytes(r["memory"]["host_peak"]),
                        quality_text(r)});
        if (energy)
            rows.back().push_back(
                r["energy"].is_object() ? fmt::format("{:.1f} J", number(r["energy"]["joules_per_run"])) : "");
    }
    std::vector<std::string> heading = {"profile", "cold", "first", "warm", "spread", "a picture", "device", "host", "quality"};
    if (energy) heading.push_back("energy");
    return table(heading, rows) + "<p class=\"dim\">Quality: PSNR against the picture of the reference precision.</p>\n";
}

std::string remarks(const Json& report) {
    std::string text;
    const auto add = [&](const std::string& kind, const std::string& what) {
        text += fmt::format("<p class=\"{}\">{}</p>\n", kind, escaped(what));
    };
    for (const Json& r : report["results"]) {
        for (const Json& why : r["quality"]["failed"]) add("bad", word(r, "name") + ": " + why.get<std::string>());
        for (const Json& note : r["notes"]) add("dim", word(r, "name") + ": " + note.get<std::string>());
    }
    for (const Json& left : report["left_out"]) add("dim", word(left, "name") + ": left out, " + word(left, "reason"));
    return text;
}

constexpr std::array<const char*, 7> kStages = {"text", "unet", "decode", "encode", "load", "other", "host"};

std::string stages(const std::vector<Json>& reports) {
    std::vector<StackedBar> bars;
    for (std::size_t r = 0; r < reports[0]["results"].size(); ++r)
        for (std::size_t i = 0; i < reports.size(); ++i) {
            const Json& result = reports[i]["results"][r];
            const double whole = number(result["warm"]["median"]);
            StackedBar bar{word(result, "name") + ", " + seconds_text(whole), {}};
            if (reports.size() > 1) bar.heading += fmt::format(" on {}", i + 1);
            double device = 0;
            for (const Json& stage : result["stages"]) {
                const auto at = std::find(kStages.begin(), kStages.end(), word(stage, "name"));
                const auto colour = static_cast<std::size_t>(at - kStages.begin());
                bar.parts.push_back({number(stage["device_seconds"]), colour, word(stage, "name")});
                device += number(stage["device_seconds"]);
            }
            bar.parts.push_back({std::max(0.0, whole - device), 7, "host"});
            bars.push_back(std::move(bar));
        }
    std::vector<std::pair<std::size_t, std::string>> names;
    for (std::size_t i = 0; i + 1 < kStages.size(); ++i) names.emplace_back(i, kStages[i]);
    names.emplace_back(7, "between (host)");
    return "<h2>Where the time goes</h2>\n" + key(names) +
           stacked_chart(bars, "Shares of the stages in each profile's warm median");
}

std::string comparison(const std::vector<Json>& reports) {
    std::vector<BarGroup> groups;
    std::vector<std::vector<std::string>> rows;
    for (std::size_t r = 0; r < reports[0]["results"].size(); ++r) {
        BarGroup group{word(reports[0]["results"][r], "name"), {}};
        std::vector<std::string> cells = {escaped(group.heading)};
        const double first = number(reports[0]["results"][r]["warm"]["median"]);
        for (std::size_t i = 0; i < reports.size(); ++i) {
            const Json& result = reports[i]["results"][r];
            const double seconds = number(result["warm"]["median"]);
            const bool valid = result["quality"]["valid"].get<bool>();
            group.bars.push_back({seconds, seconds_text(seconds) + (valid ? "" : ", invalid"), i});
            cells.push_back(valid ? seconds_text(seconds) : "<span class=\"bad\">" + seconds_text(seconds) + "</span>");
            if (i > 0) cells.push_back(seconds > 0 ? fmt::format("{:.2f}×", first / seconds) : "");
        }
        groups.push_back(std::move(group));
        rows.push_back(std::move(cells));
    }
    std::vector<std::string> heading = {"profile"};
    for (std::size_t i = 0; i < reports.size(); ++i) {
        heading.push_back(fmt::to_string(i + 1));
        if (i > 0) heading.push_back("against 1");
    }
    return "<h2>" + std::string(reports.size() > 1 ? "Comparison" : "Warm medians") + "</h2>\n" +
           (reports.size() > 1 ? key(device_key(reports)) : "") +
           bar_chart(groups, reports.size() == 1, "Seconds of each profile, shorter is better") +
           (reports.size() > 1 ? table(heading, rows) : "");
}

struct Sum {
    double seconds = 0, flops = 0, bytes = 0;
    std::uint64_t dispatches = 0;
};

/// A result's kernels by name and variant.
std::vector<std::pair<std::string, Sum>> kernels_of(const Json& result) {
    std::map<std::string, Sum> sums;
    for (const Json& k : result["kernels"]) {
        Sum& sum = sums[word(k, "kernel") + (word(k, "variant").empty() ? "" : "." + word(k, "variant"))];
        sum.seconds += number(k["seconds"]);
        sum.flops += number(k["flops"]);
        sum.bytes += number(k["bytes"]);
        sum.dispatches += k["dispatches"].get<std::uint64_t>();
    }
    std::vector<std::pair<std::string, Sum>> sorted(sums.begin(), sums.end());
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
    return sorted;
}

std::string roofline(const std::vector<Json>& reports) {
    if (reports[0]["results"].empty()) return {};
    Roofline chart;
    std::string tables;
    for (std::size_t i = 0; i < reports.size(); ++i) {
        const Json &peaks = reports[i]["peaks"], &result = reports[i]["results"][0];
        chart.roofs.push_back({number(peaks["fp32_gflops"]), number(peaks["copy_gbps"]), i});
        double whole = 0;
        const auto kernels = kernels_of(result);
        for (const auto& [name, sum] : kernels) whole += sum.seconds;
        std::vector<std::vector<std::string>> rows;
        for (const auto& [name, sum] : kernels) {
            if (!(sum.seconds > 0)) continue;
            chart.points.push_back({sum.bytes > 0 ? sum.flops / sum.bytes : 0, sum.flops / sum.seconds * 1e-9,
                                    sum.seconds / whole, i, name.substr(0, name.find('.'))});
            if (rows.size() < 12)
                rows.push_back({"<code>" + escaped(name) + "</code>", fmt::to_string(sum.dispatches),
                                seconds_text(sum.seconds), fmt::format("{:.1f}%", 100 * sum.seconds / whole),
                                fmt::format("{:.1f}", sum.flops / sum.seconds * 1e-9),
                                fmt::format("{:.2f}", sum.bytes / sum.seconds * 1e-9)});
        }
        tables += "<h2>Kernels of " + escaped(word(result, "name")) + (reports.size() > 1 ? ", " + escaped(title(reports[i])) : "") +
                  "</h2>\n" + table({"kernel and variant", "dispatches", "time", "share", "GFLOP/s", "GB/s"}, rows);
    }
    return "<h2>Roofline of " + escaped(word(reports[0]["results"][0], "name")) + "</h2>\n" +
           (reports.size() > 1 ? key(device_key(reports)) : "") + roofline_chart(chart) +
           "<p class=\"dim\">Lines: the device's measured copy and fp32 arithmetic. A dot is a kernel, as large as its share of "
           "the time.</p>\n" +
           tables;
}

}  // namespace

std::string escaped(std::string_view text) {
    std::string safe;
    for (const char c : text) switch (c) {
            case '&':
                safe += "&amp;";
                break;
            case '<':
                safe += "&lt;";
                break;
            case '>':
                safe += "&gt;";
                break;
            case '"':
                safe += "&quot;";
                break;
            case '\'':
                safe += "&#39;";
                break;
            default:
                safe += c;
        }
    return safe;
}

std::string page(const std::vector<Json>& reports) {
    const bool several = reports.size() > 1;
    const std::string name = several ? fmt::format("Pumice benchmark: {} devices", reports.size())
                                     : "Pumice benchmark: " + word(reports[0]["device"], "name");
    std::string text = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                       "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
                       escaped(name) + "</title>\n" + style() + "</head>\n<body>\n<main>\n<h1>" + escaped(name) + "</h1>\n";
    for (const Json& report : reports)
        if (!report["valid"].get<bool>())
            text += "<p class=\"bad\">" + escaped(title(report)) + ": results are wrong, see below</p>\n";
    std::string weights;
    for (const auto& [group, from] : reports[0]["weights"].items())
        weights += (weights.empty() ? "" : "; ") + group + ": " + from.get<std::string>();
    text += "<p class=\"dim\">Weights: <code>" + escaped(weights) + "</code></p>\n<div class=\"cards\">\n";
    for (std::size_t i = 0; i < reports.size(); ++i) text += card(reports[i], i, several);
    text += "</div>\n";
    if (several) text += comparison(reports);
    for (const Json& report : reports)
        text += "<h2>Results" + (several ? ", " + escaped(title(report)) : std::string()) + "</h2>\n" +
                results_table(report) + remarks(report);
    if (!several) text += comparison(reports);
    text += stages(reports) + roofline(reports);
    return text + "</main>\n</body>\n</html>\n";
}

}  // namespace pumice::report
