#include "cli/profile.hpp"

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>

#include <fmt/format.h>

#include "cli/table.hpp"
#include "image/atomic_file.hpp"
#include "outcome.hpp"

namespace pumice::cli {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

std::span<const std::uint8_t> bytes_of(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

bool are_peaks(const Json& file, const pumice_device_info& device) {
    if (!file.is_object() || file.value("schema", "") != "pumice.peaks/1" || file.value("driver", "") != device.driver ||
        !file.contains("peaks") || !file["peaks"].is_object())
        return false;
    for (const char* name : {"fp32_gflops", "copy_gbps"})
        if (!file["peaks"].contains(name) || !file["peaks"][name].is_number() || !(file["peaks"][name] > 0)) return false;
    return true;
}

struct Sum {
    double seconds = 0, flops = 0, bytes = 0;
    std::uint64_t dispatches = 0;
};

std::string stage_table(const Json& profile) {
    std::vector<std::vector<std::string>> rows = {
        {"stage", ">runs", ">device s", ">host s", ">GFLOP/s", ">device memory"}};
    for (const Json& s : profile["stages"])
        rows.push_back({s["name"].get<std::string>(), fmt::to_string(s["runs"].get<std::uint64_t>()),
                        fmt::format("{:.3f}", s["device_seconds"].get<double>()),
                        fmt::format("{:.3f}", s["host_seconds"].get<double>()),
                        fmt::format("{:.1f}", s["gflops"].get<double>()),
                        size_text(s["device_bytes"].get<std::uint64_t>())});
    return table_text(std::move(rows));
}

/// Those of a kernel and variant together, whatever the stage and the constants.
std::string kernel_table(const Json& profile, const Json& peaks) {
    std::map<std::pair<std::string, std::string>, Sum> sums;
    for (const Json& k : profile["kernels"]) {
        Sum& sum = sums[{k["kernel"].get<std::string>(), k["variant"].get<std::string>()}];
        sum.seconds += k["seconds"].get<double>();
        sum.flops += k["flops"].get<double>();
        sum.bytes += k["bytes"].get<double>();
        sum.dispatches += k["dispatches"].get<std::uint64_t>();
    }
    std::vector<std::pair<std::pair<std::string, std::string>, Sum>> sorted(sums.begin(), sums.end());
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
    std::vector<std::vector<std::string>> rows = {
        {"kernel", "variant", ">dispatches", ">ms", ">share", ">GFLOP/s", ">GB/s"}};
    if (!peaks.is_null()) rows[0].push_back(">of peak");
    const double all = profile["device_seconds"].get<double>();
    for (const auto& entry : sorted) {
        const auto& name = entry.first;
        const Sum& sum = entry.second;
        const auto rate = [&](double amount) { return sum.seconds > 0 ? amount / sum.seconds * 1e-9 : 0; };
        rows.push_back({name.first, name.second, fmt::to_string(sum.dispatches), fmt::format("{:.2f}", sum.seconds * 1e3),
                        fmt::format("{:.1f}%", all > 0 ? 100 * sum.seconds / all : 0), fmt::format("{:.1f}", rate(sum.flops)),
                        fmt::format("{:.2f}", rate(sum.bytes))});
        if (!peaks.is_null())
            rows.back().push_back(fmt::format("{:.0f}%", 100 * share_of_peak(sum.flops, sum.bytes, sum.seconds, peaks)));
    }
    return table_text(std::move(rows));
}

}  // namespace

bool wants_profile(const CommandLine& line) {
    return line.profile || line.profile_summary;
}

Expected<void> check_profile(const CommandLine& line) {
    if (line.profile_peaks && !wants_profile(line))
        return Failure{PUMICE_INVALID_ARGUMENT, "--profile-peaks is for --profile FILE or --profile-summary"};
    if (!line.profile) return {};
    if (line.profile->empty()) return Failure{PUMICE_INVALID_ARGUMENT, "--profile needs the name of a file"};
    if (line.output && fs::path(*line.output).lexically_normal() == fs::path(*line.profile).lexically_normal())
        return Failure{PUMICE_INVALID_ARGUMENT, "--profile and -o name the same file"};
    return host::check_writable(*line.profile);
}

double share_of_peak(double flops, double bytes, double seconds, const Json& peaks) {
    if (!(seconds > 0)) return 0;
    const double arithmetic = flops / (peaks["fp32_gflops"].get<double>() * 1e9);
    const double traffic = bytes / (peaks["copy_gbps"].get<double>() * 1e9);
    return std::max(arithmetic, traffic) / seconds;
}

Expected<Json> device_peaks(const Engine& engine, const std::string& cache_folder, bool measure) {
    const pumice_device_info device = engine.device();
    const fs::path kept = cache_folder.empty() ? fs::path() : fs::path(cache_folder) / fmt::format("peaks-{}.json", device.uuid);
    if (!measure) {
        std::ifstream in(kept, std::ios::binary);
        std::ostringstream text;
        if (kept.empty() || !in || !(text << in.rdbuf())) return Json(nullptr);
        const Json file = Json::parse(text.str(), nullptr, false);
        return are_peaks(file, device) ? file["peaks"] : Json(nullptr);
    }
    HOST_ASSIGN(const std::string text, engine.peaks());
    const Json peaks = Json::parse(text);
    if (!kept.empty()) {
        const Json file = {{"schema", "pumice.peaks/1"}, {"device", device.name}, {"driver", device.driver}, {"peaks", peaks}};
        std::error_code ignored;
        fs::create_directories(kept.parent_path(), ignored);
        HOST_TRY(host::write_file(kept, bytes_of(file.dump(2) + "\n"), host::Existing::replace));
    }
    return peaks;
}

Expected<Json> write_profile(const Context& context, const Engine& engine, std::string_view trace) {
    const CommandLine& line = context.line;
    if (!wants_profile(line)) return Json(nullptr);
    HOST_ASSIGN(const Json peaks, device_peaks(engine, context.settings.cache_folder.value_or(""), line.profile_peaks));
    if (line.profile) HOST_TRY(host::write_file(*line.profile, bytes_of(trace), host::Existing::replace));
    // The events are many, and not wanted here.
    const Json::parser_callback_t sums = [](int depth, Json::parse_event_t event, Json& value) {
        return !(depth == 1 && event == Json::parse_event_t::key && value == "traceEvents");
    };
    Json summary = Json::parse(trace, sums)["pumice"];
    summary["peaks"] = peaks;
    return summary;
}

std::string profile_text(const Json& profile) {
    const Json& peaks = profile["peaks"];
    std::string text = stage_table(profile) + "\n" + kernel_table(profile, peaks);
    text += fmt::format("{} dispatches, {:.3f} s on the device, {}\n", profile["dispatches"].get<std::uint64_t>(),
                        profile["device_seconds"].get<double>(), profile["precision"].get<std::string>());
    if (!profile["complete"].get<bool>()) text += "the trace holds the first million dispatches, the sums all\n";
    if (peaks.is_null()) return text + "the device's peaks are not known: --profile-peaks measures them\n";
    return text + fmt::format("peaks: {:.1f} GFLOP/s in fp32, copying {:.1f} GB/s\n", peaks["fp32_gflops"].get<double>(),
                              peaks["copy_gbps"].get<double>());
}

}  // namespace pumice::cli
