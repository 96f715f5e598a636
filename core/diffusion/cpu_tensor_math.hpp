// TensorMath in plain float arrays: samplers without a device, for tests and for the checks of plugins.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "diffusion/tensor_math.hpp"

namespace pumice {

class CpuTensorMath final : public TensorMath {
public:
    using DrawNoise = std::function<Status(std::span<float>)>;
    CpuTensorMath(std::size_t elements, DrawNoise draw) : elements_(elements), draw_(std::move(draw)) {}

    Result<Latent> create_latent() override {
        for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
            if (!slots_[slot].empty()) continue;
            slots_[slot].assign(elements_, 0.0f);
            return Latent(*this, slot);
        }
        slots_.emplace_back(elements_);
        return Latent(*this, static_cast<std::uint32_t>(slots_.size() - 1));
    }

    Status linear_combination(const Latent& out, std::span<const LatentTerm> terms) override {
        PUMICE_TRY(check(out, terms));
        for (std::size_t i = 0; i < elements_; ++i) {
            float sum = static_cast<float>(terms[0].weight) * data(terms[0].latent)[i];
            for (const LatentTerm& term : terms.subspan(1))
                sum += static_cast<float>(term.weight) * data(term.latent)[i];
            data(out)[i] = sum;
        }
        return {};
    }

    Status noise(const Latent& out) override { return draw_(data(out)); }
    /// The next draw like any other: stored runs have one list of noises.
    Status brownian(const Latent& out, double, double, double, double) override { return draw_(data(out)); }
    std::array<std::uint32_t, 4> nchw() const override {
        return {1, 4, 1, static_cast<std::uint32_t>(elements_ / 4)};
    }
    Result<std::vector<LatentNorms>> norms(const Latent& latent) override {
        LatentNorms norms;
        for (const float v : data(latent)) {
            norms.sum += double(v);
            norms.squares += double(v) * double(v);
            norms.largest = std::max(norms.largest, std::fabs(double(v)));
        }
        return std::vector<LatentNorms>{norms};
    }
    Status affine(const Latent& out, const Latent& x, std::span<const ChannelAffine> each) override {
        PUMICE_TRY(check(out, x, each));
        const std::size_t channel = elements_ / each.size();
        for (std::size_t i = 0; i < elements_; ++i) {
            const ChannelAffine& a = each[i / channel];
            const float moved = data(x)[i] * static_cast<float>(a.scale) + static_cast<float>(a.offset);
            data(out)[i] = std::min(std::max(moved, static_cast<float>(a.low)), static_cast<float>(a.high));
        }
        return {};
    }
    Status upload(const Latent& out, std::span<const float> values) override {
        if (values.size() != elements_) return Error{Code::invalid_argument, "another number of elements"};
        std::copy(values.begin(), values.end(), data(out).begin());
        return {};
    }
    Result<std::vector<float>> download(const Latent& latent) override {
        const auto values = data(latent);
        return std::vector<float>(values.begin(), values.end());
    }

    std::span<float> data(const Latent& latent) { return slots_[latent.slot()]; }
    /// Places that a handle holds now.
    std::size_t in_use() const {
        return static_cast<std::size_t>(
            std::count_if(slots_.begin(), slots_.end(), [](const auto& slot) { return !slot.empty(); }));
    }

private:
    void release(std::uint32_t slot) noexcept override { slots_[slot].clear(); }

    std::size_t elements_;
    DrawNoise draw_;
    std::vector<std::vector<float>> slots_;
};

}  // namespace pumice
