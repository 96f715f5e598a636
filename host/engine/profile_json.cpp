#include "engine/profile_json.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>

namespace pumice {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kHost = 1, kDevice = 2;  // threads of the trace

Json metadata(const char* what, int thread, const std::string& name) {
    return {{"name", what}, {"ph", "M"}, {"pid", 1}, {"tid", thread}, {"args", {{"name", name}}}};
}

double rate(double amount, double seconds) {
    return seconds > 0 ? amount / seconds * 1e-9 : 0;
}

/// "conv2d" and "f16.wf16.fast.broadcast".
std::pair<std::string, std::string> split(const std::string& module) {
    const std::size_t dot = module.find('.');
    return {module.substr(0, dot), dot == std::string::npos ? "" : module.substr(dot + 1)};
}

std::string dump(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// What an event of each dispatch of a program has beside its times, written once: there are many runs.
using Members = std::map<const ProfiledProgram*, std::vector<std::string>>;

const std::vector<std::string>& members_of(const ProfiledProgram& program, Members& known) {
    const auto [at, fresh] = known.try_emplace(&program);
    if (fresh)
        for (const ProfiledDispatch& d : program.dispatches) {
            const Json json = {{"name", d.module},
                               {"cat", "kernel"},
                               {"ph", "X"},
                               {"pid", 1},
                               {"tid", kDevice},
                               {"args",
                                {{"use", d.label},
                                 {"stage", program.name},
                                 {"constants", d.constants},
                                 {"flops", d.flops},
                                 {"bytes", d.bytes}}}};
            const std::string text = dump(json);
            at->second.push_back(text.substr(1, text.size() - 2));  // without the braces
        }
    return at->second;
}

void add_run(const ProfiledRun& run, Members& known, std::string& events) {
    const double begin = run.begin * 1e6;
    events += ",\n" + dump({{"name", run.program->name},
                            {"cat", "program"},
                            {"ph", "X"},
                            {"ts", begin},
                            {"dur", (run.end - run.begin) * 1e6},
                            {"pid", 1},
                            {"tid", kHost},
                            {"args", {{"device_seconds", run.device_seconds}, {"flops", run.program->flops}}}});
    events += ",\n" + dump({{"name", "device memory"},
                            {"ph", "C"},
                            {"ts", begin},
                            {"pid", 1},
                            {"args", {{"bytes", run.device_bytes}}}});
    if (run.spans.empty()) return;
    const std::vector<std::string>& members = members_of(*run.program, known);
    for (std::size_t i = 0; i < run.spans.size(); ++i)
        events += fmt::format(",\n{{{},\"ts\":{},\"dur\":{}}}", members[i], begin + run.spans[i].begin * 1e6,
                              run.spans[i].seconds * 1e6);
}

}  // namespace

Json summary_json(const Profile& profile, const Capabilities& caps, const std::string& precision) {
    Json stages = Json::array(), kernels = Json::array();
    double device_seconds = 0, seconds = 0;
    std::uint64_t dispatches = 0;
    for (const Profile::Stage& s : profile.stages()) {
        device_seconds += s.device_seconds;
        stages.push_back({{"name", s.name},
                          {"runs", s.runs},
                          {"host_seconds", s.host_seconds},
                          {"device_seconds", s.device_seconds},
                          {"flops", s.flops},
                          {"gflops", rate(s.flops, s.device_seconds)},
                          {"device_bytes", s.device_bytes}});
    }
    std::vector<Profile::Kernel> sorted = profile.kernels();
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
    for (const Profile::Kernel& k : sorted) {
        const auto [kernel, variant] = split(k.module);
        dispatches += k.dispatches;
        kernels.push_back({{"stage", k.stage},
                           {"kernel", kernel},
                           {"variant", variant},
                           {"constants", k.constants},
                           {"dispatches", k.dispatches},
                           {"seconds", k.seconds},
                           {"share", device_seconds > 0 ? k.seconds / device_seconds : 0},
                           {"flops", k.flops},
                           {"bytes", k.bytes},
                           {"gflops", rate(k.flops, k.seconds)},
                           {"gbps", rate(k.bytes, k.seconds)}});
    }
    for (const ProfiledRun& run : profile.runs()) seconds = std::max(seconds, run.end);
    return {{"schema", "pumice.profile/1"},
            {"device", caps.name},
            {"driver", fmt::format("{} ({})", caps.driver_name, caps.driver_info)},
            {"precision", precision},
            {"seconds", seconds},
            {"device_seconds", device_seconds},
            {"dispatches", dispatches},
            {"complete", profile.complete()},
            {"stages", std::move(stages)},
            {"kernels", std::move(kernels)}};
}

std::string trace_json(const Profile& profile, const Capabilities& caps, const std::string& precision) {
    std::string text = "{\"pumice\":" + dump(summary_json(profile, caps, precision)) +
                       ",\n\"displayTimeUnit\":\"ms\",\n\"traceEvents\":[\n" +
                       dump(metadata("process_name", kHost, "Pumice")) + ",\n" +
                       dump(metadata("thread_name", kHost, "host")) + ",\n" +
                       dump(metadata("thread_name", kDevice, caps.name));
    Members known;
    for (const ProfiledRun& run : profile.runs()) add_run(run, known, text);
    return text + "]}\n";
}

Json to_json(const Peaks& p) {
    const auto or_null = [](double rate) { return rate > 0 ? Json(rate) : Json(nullptr); };
    return {{"fp32_gflops", p.f32_gflops},       {"fp16_gflops", or_null(p.f16_gflops)},
            {"int8_gops", or_null(p.int8_gops)}, {"matrix_gflops", or_null(p.matrix_gflops)},
            {"copy_gbps", p.copy_gbps},          {"launch_seconds", p.launch_seconds},
            {"dispatch_seconds", p.dispatch_seconds}, {"largest_buffer", p.largest_buffer}};
}

}  // namespace pumice
