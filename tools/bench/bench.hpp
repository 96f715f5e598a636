// What the subcommands of pumice_bench share: the device, the clock, statistics.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/precision.hpp"
#include "base/result.hpp"
#include "graph/program.hpp"
#include "kernels/kernel.hpp"
#include "measure/peaks.hpp"
#include "vulkan/device.hpp"

namespace pumice::bench {

/// device: the device's own timestamps. cpu: this process's processor time over the number of processors, for software
/// devices on a machine that has other work too; as if it had not.
enum class Clock : std::uint8_t { device, cpu };

struct Options {
    std::string device;  ///< see Instance::choose
    std::string precision = "auto";
    Clock clock = Clock::device;
    bool validation = false;
    std::uint32_t repeats = 5;
    double seconds = 1;             ///< a case: no further repeat is begun after this long
    std::filesystem::path json;     ///< empty: none is written
    std::filesystem::path shaders;  ///< compile kernels from here instead of taking those built in
};

struct Bench {
    Options options;
    std::shared_ptr<Device> device;
    std::shared_ptr<KernelCache> kernels;
    Precision precision = Precision::fp32;
    std::shared_ptr<std::size_t> validation_messages = std::make_shared<std::size_t>(0);

    static Result<Bench> open(const Options&);
    /// "llvmpipe (LLVM 15.0.6, 256 bits), Mesa 22.3.6, fp16"
    std::string title() const;
    nlohmann::ordered_json record() const;
};

const char* name_of(Precision);

/// Seconds of warm runs, sorted.
struct Timing {
    std::vector<double> seconds;
    double median() const;
    double spread() const;  ///< (slowest - fastest) / median
};
nlohmann::ordered_json to_json(const Timing&);

/// Runs it again and again, as the options say; it has run before. At least twice, so that there is a spread.
Result<Timing> repeat(const Bench&, Program&);

/// Seconds one run takes by the bench's clock.
class Stopwatch {
public:
    explicit Stopwatch(Clock clock);
    double wall() const;
    double cpu() const;  ///< of all threads, over the number of processors
    double seconds(double device_seconds) const;

private:
    Clock clock_;
    double wall_start_, cpu_start_;
};

Result<Peaks> measure_peaks(const Bench&);
nlohmann::ordered_json to_json(const Peaks&);
std::string describe(const Peaks&);

Status write_json(const std::filesystem::path&, const nlohmann::ordered_json&);

struct OpsOptions {
    std::string only;    ///< part of "operator/set/case"; empty: all
    bool quick = false;  ///< one case an operator, the one of the smallest shapes
    bool all_variants = false;
    bool list = false;  ///< names only
};
/// pumice_bench ops: the exit status.
Result<int> run_ops(const Options&, const OpsOptions&);

struct StepOptions {
    std::filesystem::path model;
    std::uint32_t width = 512, height = 512;  ///< pixels
    std::uint32_t nodes = 0;                  ///< how many of the slowest nodes to list
    bool vae = true;
    bool pipelines = false;  ///< time the compiling of each kernel
};
/// pumice_bench step: the exit status.
Result<int> run_step(const Options&, const StepOptions&);

}  // namespace pumice::bench
