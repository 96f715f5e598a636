// What the programs of a device did, and how long it took.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace pumice {

/// One dispatch of a recorded program.
struct ProfiledDispatch {
    std::string label;   ///< what the operator's use is called: "input_blocks.1.0 conv2d"
    std::string module;  ///< kernel and variant: "conv2d.f16.wf16.fast.broadcast"
    std::vector<std::uint32_t> constants;  ///< specialization: tile sizes and the like
    double flops = 0, bytes = 0;
};

/// A recorded program, shared by its runs.
struct ProfiledProgram {
    std::string name;  ///< "UNet", "VAE decoder", …: the stage
    std::vector<ProfiledDispatch> dispatches;
    double flops = 0;
};

/// One run of it. Times are seconds; those of the device count from the run's first timestamp.
struct ProfiledRun {
    std::shared_ptr<const ProfiledProgram> program;
    double begin = 0, end = 0;       ///< on the host's clock, since the profile began
    double device_seconds = 0;       ///< 0: a queue without timestamps
    std::uint64_t device_bytes = 0;  ///< of device memory that was allocated
    struct Span {
        double begin, seconds;
    };
    std::vector<Span> spans;  ///< one a dispatch; empty beyond Options::most_spans, or when only programs are timed
};

/// Time and number of the runs of a kernel, over all programs.
class Profile {
public:
    struct Options {
        bool dispatches = true;             ///< a timestamp after each; else programs as wholes
        std::size_t most_spans = 1'000'000; ///< kept one by one, 16 bytes each; sums go on beyond
    };
    Profile() : Profile(Options{}) {}
    explicit Profile(Options options) : options_(options) {}

    const Options& options() const { return options_; }
    /// Seconds since the profile began.
    double now() const;
    /// Thread-safe. Of the run's spans as many are kept as there is room for.
    void add(ProfiledRun run);

    /// Sums over the runs of one program's dispatches of one kernel.
    struct Kernel {
        std::string stage, module;
        std::vector<std::uint32_t> constants;
        double seconds = 0, flops = 0, bytes = 0;
        std::uint64_t dispatches = 0;
    };
    struct Stage {
        std::string name;
        std::uint64_t runs = 0;
        double host_seconds = 0, device_seconds = 0, flops = 0;
        std::uint64_t device_bytes = 0;  ///< the most that was allocated when one of its programs ran
    };
    /// To be read when nothing runs.
    const std::vector<ProfiledRun>& runs() const { return runs_; }
    const std::vector<Stage>& stages() const { return stages_; }    ///< in the order of their first run
    const std::vector<Kernel>& kernels() const { return kernels_; }  ///< likewise
    bool complete() const { return dropped_ == 0; }                  ///< all spans were kept

private:
    void sum(const ProfiledRun&);
    const Options options_;
    const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
    std::mutex mutex_;
    std::vector<ProfiledRun> runs_;
    std::vector<Stage> stages_;
    std::vector<Kernel> kernels_;
    std::size_t spans_ = 0, dropped_ = 0;
};

}  // namespace pumice
