#include "bench/engine/measure.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>

#include <fmt/format.h>

namespace pumice::bench {
namespace {

using Json = nlohmann::ordered_json;

double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> values) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    const std::size_t n = values.size();
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/// What a program is called, as the stage that it is a part of.
std::string stage_of(const std::string& program) {
    if (program == "text encoder") return "text";
    if (program == "UNet" || program == "sampler arithmetic") return "unet";
    if (program == "VAE decoder" || program == "tiny VAE decoder") return "decode";
    if (program == "VAE encoder") return "encode";
    if (program == "weight upload" || program == "merging") return "load";
    return "other";
}

/// A run with a profile of its own.
struct Timed {
    Output output;
    double seconds = 0;
    std::shared_ptr<pumice::Profile> profile;
};

Result<Timed> run_timed(Session& session, const Profile& profile, bool kernels) {
    Timed timed;
    timed.profile = std::make_shared<pumice::Profile>(
        pumice::Profile::Options{.dispatches = kernels, .most_spans = 0});
    session.device().set_profile(timed.profile);
    const double begin = now();
    auto output = session.run(profile);
    timed.seconds = now() - begin;
    session.device().set_profile(nullptr);
    if (!output) return std::move(output.error());
    timed.output = std::move(*output);
    return timed;
}

/// Linux's peak of resident memory, begun anew where the kernel lets us.
void reset_host_peak() {
    std::ofstream("/proc/self/clear_refs") << "5";
}
std::uint64_t host_peak() {
    std::ifstream in("/proc/self/status");
    for (std::string line; std::getline(in, line);)
        if (line.rfind("VmHWM:", 0) == 0) return std::stoull(line.substr(6)) * 1024;
    return 0;
}

/// Seconds, FLOP and runs of each stage: the medians of the runs' sums.
Json stages_json(const std::vector<Timed>& runs, const Peaks& peaks) {
    struct Sums {
        std::vector<double> seconds;
        double flops = 0;
        std::uint64_t programs = 0;
    };
    std::vector<std::pair<std::string, Sums>> stages;
    for (const Timed& run : runs) {
        std::map<std::string, Sums> of_run;
        std::vector<std::string> order;
        for (const auto& s : run.profile->stages()) {
            const std::string name = stage_of(s.name);
            if (!of_run.contains(name)) order.push_back(name);
            Sums& sums = of_run[name];
            sums.seconds.resize(1);
            sums.seconds[0] += s.device_seconds;
            sums.flops += s.flops;
            sums.programs += s.runs;
        }
        for (const std::string& name : order) {
            auto at = std::find_if(stages.begin(), stages.end(), [&](const auto& s) { return s.first == name; });
            if (at == stages.end()) at = stages.insert(stages.end(), {name, {}});
            at->second.seconds.push_back(of_run[name].seconds[0]);
            at->second.flops = of_run[name].flops;
            at->second.programs = of_run[name].programs;
        }
    }
    Json json = Json::array();
    for (const auto& [name, sums] : stages) {
        const double seconds = median(sums.seconds), rate = seconds > 0 ? sums.flops / seconds * 1e-9 : 0;
        json.push_back({{"name", name},
                        {"programs", sums.programs},
                        {"device_seconds", seconds},
                        {"flops", sums.flops},
                        {"gflops", rate},
                        {"of_peak", peaks.f32_gflops > 0 ? rate / peaks.f32_gflops : 0}});
    }
    return json;
}

Json kernels_json(const pumice::Profile& profile) {
    std::vector<pumice::Profile::Kernel> sorted = profile.kernels();
    std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
    Json json = Json::array();
    for (const auto& k : sorted) {
        const std::size_t dot = k.module.find('.');
        json.push_back({{"stage", stage_of(k.stage)},
                        {"kernel", k.module.substr(0, dot)},
                        {"variant", dot == std::string::npos ? "" : k.module.substr(dot + 1)},
                        {"constants", k.constants},
                        {"dispatches", k.dispatches},
                        {"seconds", k.seconds},
                        {"flops", k.flops},
                        {"bytes", k.bytes}});
    }
    return json;
}

void add_notes(const Session& session, Measured& m) {
    m.notes = m.output.notes;
    if (!const_cast<Session&>(session).model().fits_at_once())
        m.notes.push_back("the model does not fit on the device at once: its parts were brought there in turn");
}

}  // namespace

Result<double> measure_cold(const std::function<Result<std::unique_ptr<Session>>()>& open, const Profile& profile) {
    const double begin = now();
    PUMICE_ASSIGN(const auto session, open());
    PUMICE_TRY(session->run(profile));
    return now() - begin;
}

Result<Measured> measure(Session& session, const Profile& profile, const MeasureOptions& options,
                         const EnergyMeter& energy) {
    Measured m;
    m.profile = profile;
    session.device().allocator().reset_peaks();
    reset_host_peak();
    options.progress(profile.name + ": first run");
    PUMICE_ASSIGN(Timed first, run_timed(session, profile, false));
    m.first = first.seconds;
    m.output = std::move(first.output);
    std::vector<Timed> warm;
    const EnergyMeter::Reading before = energy.read();
    for (std::uint32_t i = 0; i < options.repeats; ++i) {
        options.progress(fmt::format("{}: warm run {} of {}", profile.name, i + 1, options.repeats));
        PUMICE_ASSIGN(Timed run, run_timed(session, profile, false));
        m.quality.repeats_equal = m.quality.repeats_equal && run.output == m.output;
        run.output = {};
        m.warm.push_back(run.seconds);
        warm.push_back(std::move(run));
    }
    if (const auto joules = energy.joules_since(before))
        m.energy = {{"joules_per_run", *joules / options.repeats}, {"source", energy.source()}};
    m.stages = stages_json(warm, options.peaks);
    const MemoryStatistics memory = session.device().allocator().statistics();
    m.memory = {{"device_peak", memory.device_peak}, {"staging_peak", memory.host_peak}, {"host_peak", host_peak()}};
    add_notes(session, m);

    options.progress(profile.name + ": kernels");
    PUMICE_ASSIGN(const Timed kernels, run_timed(session, profile, true));
    m.kernels = kernels_json(*kernels.profile);
    m.quality.repeats_equal = m.quality.repeats_equal && kernels.output == m.output;
    // The networks on fixed inputs: of one profile a kind.
    if (profile.kind == Kind::text || profile.kind == Kind::decode || (profile.kind == Kind::picture && profile.batch == 1)) {
        PUMICE_ASSIGN(m.values, session.stages(profile));
        for (const auto& [stage, values] : m.values) m.quality.not_finite += count_not_finite(values);
    }
    return m;
}

Status compare_with(Session& reference, std::vector<Measured>& all,
                    const std::function<void(const std::string&)>& progress) {
    for (Measured& m : all) {
        progress(m.profile.name + ": reference");
        if (!m.values.empty()) {
            PUMICE_ASSIGN(const auto values, reference.stages(m.profile));
            for (const auto& [stage, wanted] : values)
                m.quality.stage_errors[stage] = relative_error(m.values[stage], wanted);
            m.values.clear();
        }
        if (m.output.pictures.empty()) continue;
        // The first of a batch is what it would be alone.
        Profile one = m.profile;
        one.batch = 1;
        PUMICE_ASSIGN(const Output wanted, reference.run(one));
        m.quality.psnr = psnr(m.output.pictures.front(), wanted.pictures.front());
    }
    return {};
}

Json to_json(const Measured& m) {
    const auto [least, most] = std::minmax_element(m.warm.begin(), m.warm.end());
    const double middle = median(m.warm);
    const Quality& q = m.quality;
    const std::vector<std::string> failed = q.failed();
    // JSON has no infinity.
    const auto finite = [](double v) { return std::isfinite(v) ? Json(v) : Json(nullptr); };
    Json errors = Json::object();
    for (const auto& [stage, error] : q.stage_errors) errors[stage] = finite(error);
    const Json quality = {{"valid", failed.empty()},
                          {"failed", failed},
                          {"repeats_equal", q.repeats_equal},
                          {"not_finite", q.not_finite},
                          {"psnr", q.psnr ? finite(*q.psnr) : Json(nullptr)},
                          {"identical", q.psnr && std::isinf(*q.psnr)},
                          {"stage_errors", errors},
                          {"limits", {{"psnr", finite(q.limits.psnr)}, {"stage_error", q.limits.stage_error}}}};
    return {{"name", m.profile.name},
            {"kind", to_string(m.profile.kind)},
            {"width", m.profile.width},
            {"height", m.profile.height},
            {"steps", m.profile.steps},
            {"batch", m.profile.batch},
            {"cold", m.cold ? Json(*m.cold) : Json(nullptr)},
            {"first", m.first},
            {"warm",
             {{"median", middle},
              {"least", *least},
              {"most", *most},
              {"spread", middle > 0 ? (*most - *least) / middle : 0},
              {"n", m.warm.size()},
              {"seconds", m.warm}}},
            {"images_per_second", m.profile.kind == Kind::text ? Json(nullptr) : Json(m.profile.batch / middle)},
            {"seconds_per_image", m.profile.kind == Kind::text ? Json(nullptr) : Json(middle / m.profile.batch)},
            {"stages", m.stages},
            {"kernels", m.kernels},
            {"memory", m.memory},
            {"energy", m.energy},
            {"quality", quality},
            {"notes", m.notes}};
}

}  // namespace pumice::bench
