#include "bench.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <fstream>
#include <thread>

#include <fmt/format.h>

#include "models/model.hpp"

namespace pumice::bench {
namespace {

double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
double cpu_now() {
    timespec t{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

Result<Precision> precision_of(const std::string& name, const Capabilities& caps) {
    if (name == "exact") return Precision::exact;
    if (name == "fp32") return Precision::fp32;
    if (name == "auto") return default_precision(caps);
    if (!caps.storage_16bit)
        return Error{Code::missing_feature, caps.name + " cannot store fp16; use --precision fp32 or exact"};
    return Precision::fp16;
}

}  // namespace

const char* name_of(Precision p) {
    return p == Precision::exact ? "exact" : p == Precision::fp32 ? "fp32" : "fp16";
}

Result<Bench> Bench::open(const Options& options) {
    Bench bench;
    bench.options = options;
    InstanceOptions instance_options;
    instance_options.validation = options.validation;
    instance_options.on_validation_message = [count = bench.validation_messages](const std::string& message) {
        fmt::print(stderr, "validation: {}\n", message);
        ++*count;
    };
    PUMICE_ASSIGN(auto instance, Instance::create(instance_options));
    PUMICE_ASSIGN(bench.device, Device::create(instance, {options.device, {}, {}}));
    PUMICE_ASSIGN(bench.precision, precision_of(options.precision, bench.device->caps()));
    if (options.clock == Clock::cpu && bench.device->caps().type != DeviceType::cpu)
        return Error{Code::invalid_argument,
                     "--clock cpu is for software devices; " + bench.device->caps().name + " is none"};
    bench.kernels = std::make_shared<KernelCache>(bench.device);
    if (!options.shaders.empty()) bench.kernels->set_source_folder(options.shaders);
    return bench;
}

std::string Bench::title() const {
    const Capabilities& caps = device->caps();
    return fmt::format("{}, {}, {}{}", caps.name, caps.driver_info.empty() ? caps.driver_name : caps.driver_info,
                       name_of(precision), options.clock == Clock::cpu ? ", processor time" : "");
}

nlohmann::ordered_json Bench::record() const {
    const Capabilities& caps = device->caps();
    return {{"device", caps.name},
            {"type", to_string(caps.type)},
            {"driver", caps.driver_name},
            {"driver_info", caps.driver_info},
            {"precision", name_of(precision)},
            {"clock", options.clock == Clock::cpu ? "cpu" : "device"}};
}

double Timing::median() const {
    if (seconds.empty()) return 0;
    const std::size_t n = seconds.size();
    return n % 2 ? seconds[n / 2] : (seconds[n / 2 - 1] + seconds[n / 2]) / 2;
}
double Timing::spread() const {
    return seconds.empty() || median() <= 0 ? 0 : (seconds.back() - seconds.front()) / median();
}

nlohmann::ordered_json to_json(const Timing& t) {
    return {{"median", t.median() * 1e3},
            {"least", t.seconds.front() * 1e3},
            {"most", t.seconds.back() * 1e3},
            {"repeats", t.seconds.size()}};
}

Stopwatch::Stopwatch(Clock clock) : clock_(clock), wall_start_(now()), cpu_start_(cpu_now()) {}
double Stopwatch::wall() const {
    return now() - wall_start_;
}
double Stopwatch::cpu() const {
    return (cpu_now() - cpu_start_) / std::max(1u, std::thread::hardware_concurrency());
}
double Stopwatch::seconds(double device_seconds) const {
    if (clock_ == Clock::cpu) return cpu();
    return device_seconds > 0 ? device_seconds : wall();  // a queue without timestamps
}

Result<Timing> repeat(const Bench& bench, Program& program) {
    Timing timing;
    const Stopwatch all(bench.options.clock);
    while (timing.seconds.size() < 2 ||
           (timing.seconds.size() < bench.options.repeats && all.wall() < bench.options.seconds)) {
        const Stopwatch one(bench.options.clock);
        PUMICE_TRY(program.run());
        timing.seconds.push_back(one.seconds(program.device_seconds()));
    }
    std::sort(timing.seconds.begin(), timing.seconds.end());
    return timing;
}

Result<Peaks> measure_peaks(const Bench& bench) {
    if (bench.options.clock == Clock::device) return pumice::measure_peaks(bench.device);
    return pumice::measure_peaks(
        bench.device, [] { return cpu_now() / std::max(1u, std::thread::hardware_concurrency()); });
}

nlohmann::ordered_json to_json(const Peaks& p) {
    nlohmann::ordered_json json{{"fp32_gflops", p.f32_gflops}, {"fp16_gflops", nullptr}, {"copy_gbps", p.copy_gbps}};
    if (p.f16_gflops > 0) json["fp16_gflops"] = p.f16_gflops;
    return json;
}

std::string describe(const Peaks& p) {
    const std::string half = p.f16_gflops > 0 ? fmt::format("{:.0f}", p.f16_gflops) : "none";
    return fmt::format("peak: fp32 {:.0f} GFLOP/s, fp16 arithmetic {}{}, copy {:.1f} GB/s", p.f32_gflops, half,
                       p.f16_gflops > 0 ? " GFLOP/s" : "", p.copy_gbps);
}

Status write_json(const std::filesystem::path& path, const nlohmann::ordered_json& document) {
    std::ofstream file(path, std::ios::binary);
    file << document.dump(2) << '\n';
    file.close();
    if (!file) return Error{Code::io, path.string() + ": cannot be written"};
    return {};
}

}  // namespace pumice::bench
