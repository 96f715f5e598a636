// One profile, measured.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "bench/engine/energy.hpp"
#include "bench/engine/quality.hpp"
#include "bench/engine/session.hpp"
#include "measure/peaks.hpp"

namespace pumice::bench {

struct Measured {
    Profile profile;
    std::optional<double> cold;  ///< seconds
    double first = 0;
    std::vector<double> warm;
    nlohmann::ordered_json stages, kernels, memory, energy;
    Output output;
    std::map<std::string, std::vector<float>> values;  ///< of the stages on fixed inputs
    Quality quality;
    std::vector<std::string> notes;
};

struct MeasureOptions {
    std::uint32_t repeats = 5;
    Peaks peaks;
    std::function<void(const std::string&)> progress;
};

/// Seconds of one run on a session that has just been opened with an empty pipeline cache, the opening included.
Result<double> measure_cold(const std::function<Result<std::unique_ptr<Session>>()>& open, const Profile&);

/// The first run, then `repeats` warm ones, then one with each kernel timed, then the networks on fixed inputs.
Result<Measured> measure(Session&, const Profile&, const MeasureOptions&, const EnergyMeter&);

/// Runs the same in the reference's precision and fills in the quality: stage errors, PSNR.
Status compare_with(Session& reference, std::vector<Measured>&, const std::function<void(const std::string&)>& progress);

/// As tools/bench/schema.json describes it.
nlohmann::ordered_json to_json(const Measured&);

}  // namespace pumice::bench
