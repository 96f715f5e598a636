// A model on a device, and one piece of work of each kind.
#pragma once

#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bench/engine/profiles.hpp"
#include "engine/objects.hpp"

namespace pumice::bench {

/// What came out of a run, to be compared.
struct Output {
    std::vector<std::vector<std::uint8_t>> pictures;  ///< RGB, one each of the batch
    std::vector<float> values;                        ///< of a text encoder
    std::vector<std::string> notes;
    friend bool operator==(const Output& a, const Output& b) {
        return a.pictures == b.pictures && a.values == b.values;
    }
};

class Session {
public:
    /// Opens device and checkpoint. `control`: a ControlNet's file, or empty.
    static Result<std::unique_ptr<Session>> open(const pumice_engine_options&, const std::filesystem::path& model,
                                                 const std::filesystem::path& control, Precision,
                                                 const std::atomic<bool>* cancel);
    /// The same engine with the checkpoint in another precision.
    Result<std::unique_ptr<Session>> in(Precision) const;

    /// Runs the work once. Steps are of Euler's method over Karras' levels, guidance 7, seed 1.
    Result<Output> run(const Profile&);

    /// What the networks give on fixed inputs at the profile's size: "text", "unet" (one evaluation), "vae".
    Result<std::map<std::string, std::vector<float>>> stages(const Profile&);

    Device& device() const { return *engine_->device; }
    const EngineState& engine() const { return *engine_; }
    Model& model() { return *model_; }
    bool has_control() const { return !control_.empty(); }

private:
    Session() = default;
    Result<Output> text();
    Result<Output> picture(const Profile&);
    Result<Output> decode(const Profile&);
    Result<Control> control(const Profile&) const;
    Result<std::vector<float>> unet_once(const Profile&);
    Result<std::vector<float>> vae_once(const Profile&);

    std::shared_ptr<EngineState> engine_;
    std::filesystem::path model_file_, control_;
    std::unique_ptr<Model> model_;
    const std::atomic<bool>* cancel_ = nullptr;
};

}  // namespace pumice::bench
