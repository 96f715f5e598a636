// Energy that the platform counts.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace pumice::bench {

/// Counters of the machine, all of it: other programs' work is in there too.
class EnergyMeter {
public:
    /// What Linux has under `sys`: the processor packages' counters (powercap, RAPL) and graphics cards' (hwmon
    /// energy*_input). Both where both are readable.
    explicit EnergyMeter(const std::filesystem::path& sys = "/sys");

    /// "package-0, xe"; empty when there is none.
    const std::string& source() const { return source_; }
    /// Why there is none.
    const std::string& reason() const { return reason_; }

    struct Reading {
        std::vector<std::uint64_t> microjoules;
    };
    Reading read() const;
    /// Joules since an earlier reading; counters may have wrapped once. Nothing without counters.
    std::optional<double> joules_since(const Reading&) const;

private:
    struct Counter {
        std::filesystem::path file;
        std::uint64_t range = 0;  ///< where it wraps; 0: never
    };
    void add(const std::filesystem::path& file, const std::filesystem::path& range, const std::string& name);
    std::vector<Counter> counters_;
    std::string source_, reason_;
};

}  // namespace pumice::bench
