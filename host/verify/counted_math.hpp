// The host's arithmetic without a device, which counts what is asked of it and can be made to fail.
#pragma once

#include <array>
#include <cmath>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "diffusion/brownian.hpp"
#include "diffusion/cpu_tensor_math.hpp"
#include "diffusion/rng.hpp"

namespace pumice::verify {

inline constexpr std::size_t kElements = 1024;  ///< of a latent: a picture of four channels

/// Which calls to the host are to go wrong.
struct Faults {
    std::optional<int> fail_call;  ///< this one, from 0, gives `failure`
    Error failure = {Code::out_of_device_memory, "out of memory, as wanted"};
};

/// What a plugin asked of the host.
struct Tally {
    int calls = 0;                ///< those that can fail
    int calls_after_failure = 0;  ///< likewise, after the one that failed or said "cancelled"
    std::string failed;           ///< which one that was
    int noises = 0;
};

/// Counts the calls, and makes the one fail that is to.
class Counter {
public:
    Counter(const Faults& faults, Tally& tally) : faults_(faults), tally_(tally) {}
    /// What a call begins with. `late`: it is nothing wrong after one that failed.
    Status call(const char* name, bool late = false) {
        if (failed_ && !late) ++tally_.calls_after_failure;
        const int index = tally_.calls++;
        if (faults_.fail_call != index) return {};
        failed(name);
        return faults_.failure;
    }
    void failed(const char* name) {
        failed_ = true;
        tally_.failed = name;
    }

private:
    const Faults& faults_;
    Tally& tally_;
    bool failed_ = false;
};

/// CpuTensorMath whose calls are counted.
class CountedMath final : public TensorMath {
public:
    CountedMath(Counter& counter, Tally& tally, std::uint64_t seed)
        : counter_(counter),
          tally_(tally),
          seed_(seed),
          source_(RngKind::philox, seed),
          inner_(kElements, [this](std::span<float> out) {
              source_.normal(out);
              return Status{};
          }) {}

    CpuTensorMath& inner() { return inner_; }
    Result<Latent> create_latent() override {
        PUMICE_TRY(counter_.call("create"));
        return inner_.create_latent();
    }
    Status linear_combination(const Latent& out, std::span<const LatentTerm> terms) override {
        PUMICE_TRY(counter_.call("combine"));
        return inner_.linear_combination(out, terms);
    }
    Status noise(const Latent& out) override {
        PUMICE_TRY(counter_.call("noise"));
        ++tally_.noises;
        return inner_.noise(out);
    }
    Status brownian(const Latent& out, double lowest, double highest, double from, double to) override {
        PUMICE_TRY(counter_.call("brownian"));
        ++tally_.noises;
        if (!(lowest > 0) || !(lowest < highest) || !std::isfinite(highest) || !std::isfinite(from) ||
            !std::isfinite(to))
            return Error{Code::invalid_argument, fmt::format("brownian from {} to {} over {} to {}: the least must be "
                                                             "above 0 and below the most",
                                                             from, to, lowest, highest)};
        if (!tree_ || !tree_->covers(lowest, highest)) tree_.emplace(seed_, kElements, lowest, highest);
        tree_->increment(from, to, inner_.data(out));
        return {};
    }
    Status affine(const Latent& out, const Latent& x, std::span<const ChannelAffine> each) override {
        PUMICE_TRY(counter_.call("affine"));
        return inner_.affine(out, x, each);
    }
    std::array<std::uint32_t, 4> nchw() const override { return inner_.nchw(); }
    Result<std::vector<LatentNorms>> norms(const Latent& latent) override {
        PUMICE_TRY(counter_.call("norms"));
        return inner_.norms(latent);
    }
    Status upload(const Latent& out, std::span<const float> values) override {
        PUMICE_TRY(counter_.call("write"));
        return inner_.upload(out, values);
    }
    Result<std::vector<float>> download(const Latent& latent) override {
        PUMICE_TRY(counter_.call("read"));
        return inner_.download(latent);
    }

private:
    void release(std::uint32_t) noexcept override {}  // latents are of inner_

    Counter& counter_;
    Tally& tally_;
    std::uint64_t seed_;
    NoiseSource source_;
    std::optional<BrownianTree> tree_;
    CpuTensorMath inner_;
};

/// "" or what is wrong with a run that the host ended: the plugin gives the host's status, at once.
std::string ended_by_host(const Tally&, const std::string& thrown, std::int32_t status, std::int32_t wanted);

}  // namespace pumice::verify
