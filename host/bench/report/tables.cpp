#include "bench/report/tables.hpp"

#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/table.hpp"

namespace pumice::report {
namespace {

using Json = nlohmann::ordered_json;

double number(const Json& value) {
    return value.is_number() ? value.get<double>() : 0;
}

std::string rate(const Json& value, const char* unit) {
    return value.is_number() ? fmt::format("{:.{}f} {}", value.get<double>(), value.get<double>() < 100 ? 1 : 0, unit)
                             : std::string("none");
}

/// The stage that the work is in: its arithmetic over the device's time, against the peak.
std::string efficiency(const Json& result) {
    double flops = 0, seconds = 0, best = 0, of_peak = 0;
    for (const Json& stage : result["stages"]) {
        flops = number(stage["flops"]), seconds = number(stage["device_seconds"]);
        if (seconds > best) best = seconds, of_peak = number(stage["of_peak"]);
    }
    return best > 0 && flops >= 0 ? fmt::format("{:.0f}%", 100 * of_peak) : "";
}

std::string quality(const Json& result) {
    const Json& q = result["quality"];
    if (!q["valid"].get<bool>()) return "INVALID";
    if (q["identical"].get<bool>()) return "identical";
    return q["psnr"].is_number() ? fmt::format("{:.1f} dB", q["psnr"].get<double>()) : "ok";
}

}  // namespace

std::string seconds_text(double s) {
    if (s >= 100) return fmt::format("{:.0f} s", s);
    if (s >= 1) return fmt::format("{:.2f} s", s);
    if (s >= 0.1) return fmt::format("{:.0f} ms", s * 1e3);
    return s >= 1e-3 ? fmt::format("{:.2f} ms", s * 1e3) : fmt::format("{:.1f} µs", s * 1e6);
}

std::string title(const Json& report) {
    const Json& device = report["device"];
    const std::string about = device.value("driver_info", "");
    return fmt::format("{}, {}, {}", device.value("name", "?"), about.empty() ? device.value("driver_name", "?") : about,
                       report.value("precision", "?"));
}

std::string report_text(const Json& report) {
    const Json& peaks = report["peaks"];
    std::string text = title(report) + "\n";
    text += fmt::format(
        "peaks: fp32 {}, fp16 {}, int8 {}, matrices {}, copy {}; launch {}, dispatch {}; largest buffer {}\n\n",
        rate(peaks["fp32_gflops"], "GFLOP/s"), rate(peaks["fp16_gflops"], "GFLOP/s"), rate(peaks["int8_gops"], "Gop/s"),
        rate(peaks["matrix_gflops"], "GFLOP/s"), rate(peaks["copy_gbps"], "GB/s"),
        seconds_text(number(peaks["launch_seconds"])), seconds_text(number(peaks["dispatch_seconds"])),
        cli::size_text(peaks["largest_buffer"].get<std::uint64_t>()));
    std::vector<std::vector<std::string>> rows = {{"profile", ">cold", ">first", ">warm", ">spread", ">n", ">a picture",
                                                   ">of peak", ">device", ">host", "quality"}};
    for (const Json& r : report["results"]) {
        const Json& warm = r["warm"];
        rows.push_back({r["name"].get<std::string>(), r["cold"].is_number() ? seconds_text(number(r["cold"])) : "",
                        seconds_text(number(r["first"])), seconds_text(number(warm["median"])),
                        fmt::format("{:.0f}%", 100 * number(warm["spread"])), fmt::to_string(warm["n"].get<std::size_t>()),
                        r["seconds_per_image"].is_number() ? seconds_text(number(r["seconds_per_image"])) : "",
                        efficiency(r), cli::size_text(r["memory"]["device_peak"].get<std::uint64_t>()),
                        cli::size_text(r["memory"]["host_peak"].get<std::uint64_t>()), quality(r)});
    }
    text += cli::table_text(std::move(rows));
    for (const Json& r : report["results"]) {
        for (const Json& why : r["quality"]["failed"])
            text += fmt::format("INVALID {}: {}\n", r["name"].get<std::string>(), why.get<std::string>());
        for (const Json& note : r["notes"])
            text += fmt::format("{}: {}\n", r["name"].get<std::string>(), note.get<std::string>());
    }
    for (const Json& left : report["left_out"])
        text += fmt::format("left out: {}, {}\n", left["name"].get<std::string>(), left["reason"].get<std::string>());
    for (const Json& note : report["notes"]) text += note.get<std::string>() + "\n";
    return text;
}

std::string comparison_text(const std::vector<Json>& reports) {
    std::string text;
    std::vector<std::vector<std::string>> rows = {{"profile"}};
    for (std::size_t i = 0; i < reports.size(); ++i) {
        text += fmt::format("{}: {}\n", i + 1, title(reports[i]));
        rows[0].push_back(fmt::format(">{}", i + 1));
        if (i > 0) rows[0].push_back(">times");
    }
    for (std::size_t r = 0; r < reports[0]["results"].size(); ++r) {
        auto& row = rows.emplace_back();
        row.push_back(reports[0]["results"][r]["name"].get<std::string>());
        const double first = number(reports[0]["results"][r]["warm"]["median"]);
        for (std::size_t i = 0; i < reports.size(); ++i) {
            const Json& result = reports[i]["results"][r];
            const double seconds = number(result["warm"]["median"]);
            row.push_back(seconds_text(seconds) + (result["quality"]["valid"].get<bool>() ? "" : " INVALID"));
            if (i > 0) row.push_back(seconds > 0 ? fmt::format("{:.2f}", first / seconds) : "");
        }
    }
    const auto peak = [&](const char* name, const char* key) {
        auto& row = rows.emplace_back();
        row.push_back(name);
        const double first = number(reports[0]["peaks"][key]);
        for (std::size_t i = 0; i < reports.size(); ++i) {
            const double value = number(reports[i]["peaks"][key]);
            row.push_back(fmt::format("{:.1f}", value));
            if (i > 0) row.push_back(first > 0 ? fmt::format("{:.2f}", value / first) : "");
        }
    };
    peak("peak fp32, GFLOP/s", "fp32_gflops");
    peak("peak copy, GB/s", "copy_gbps");
    return text + "\n" + cli::table_text(std::move(rows)) + "Warm medians; \"times\" as fast as 1.\n";
}

}  // namespace pumice::report
