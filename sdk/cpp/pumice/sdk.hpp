// The plugin interface for C++17: handles that release themselves, and arithmetic that reads as a formula. Header-only,
// over the C headers alone; nothing here throws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "pumice/sdk/entry.h"
#include "pumice/sdk/ext/control.h"
#include "pumice/sdk/ext/graph.h"
#include "pumice/sdk/ext/guidance.h"
#include "pumice/sdk/ext/image.h"
#include "pumice/sdk/ext/image_filter.h"
#include "pumice/sdk/ext/kernel.h"
#include "pumice/sdk/ext/log.h"
#include "pumice/sdk/ext/math.h"
#include "pumice/sdk/ext/preprocessor.h"
#include "pumice/sdk/ext/progress.h"
#include "pumice/sdk/ext/sampler.h"
#include "pumice/sdk/ext/schedule.h"
#include "pumice/sdk/ext/tensor.h"
#include "pumice/sdk/ext/upscaler.h"
#include "pumice/sdk/ext/weights.h"
#include "pumice/sdk/host.h"
#include "pumice/sdk/params.h"
#include "pumice/sdk/plugin.h"
#include "pumice/sdk/status.h"

namespace pumice::sdk {

/// An extension of the host, or nullptr.
template <class Extension>
const Extension* find_extension(const pumice_host* host, const char* id) {
    return static_cast<const Extension*>(host->get_extension(host, id));
}

/// No exception of the standard library's leaves the plugin.
template <class Work>
pumice_sdk_status guarded(Work&& work) {
    try {
        return work();
    } catch (const std::bad_alloc&) {
        return PUMICE_SDK_OUT_OF_HOST_MEMORY;
    } catch (const std::exception&) {
        return PUMICE_SDK_INTERNAL;
    }
}

/// A library that holds one plugin: its entry, factory and instances. Each instance has a Mine, which has
///
///     static const pumice_plugin_descriptor descriptor;
///     pumice_sdk_status init(const pumice_host*);                      // the host outlives it
///     static const void* get_extension(pumice_plugin*, const char* id);
///
/// and the library exports
///
///     extern "C" PUMICE_SDK_EXPORT const pumice_plugin_entry_1 pumice_plugin_entry = SinglePlugin<Mine>::entry();
template <class Mine>
class SinglePlugin {
public:
    static constexpr pumice_plugin_entry_1 entry() {
        return {sizeof(pumice_plugin_entry_1), PUMICE_SDK_ABI_MAJOR, PUMICE_SDK_ABI_MINOR, 0,
                [](const char*) { return PUMICE_SDK_OK; }, [] {}, get_factory};
    }
    static Mine& of(pumice_plugin* plugin) { return self(plugin).mine_; }

private:
    static SinglePlugin& self(pumice_plugin* plugin) { return *static_cast<SinglePlugin*>(plugin->data); }
    static pumice_sdk_status init(pumice_plugin* plugin) {
        return guarded([&] { return of(plugin).init(self(plugin).host_); });
    }
    static void destroy(pumice_plugin* plugin) { delete &self(plugin); }
    static pumice_sdk_status create(std::uint32_t index, const pumice_host* host, pumice_plugin** plugin) {
        if (index != 0) return PUMICE_SDK_INVALID_ARGUMENT;
        auto* made = new (std::nothrow) SinglePlugin;
        if (!made) return PUMICE_SDK_OUT_OF_HOST_MEMORY;
        made->host_ = host;
        made->plugin_ = {sizeof(pumice_plugin), 0, &Mine::descriptor, made, init, destroy, Mine::get_extension};
        *plugin = &made->plugin_;
        return PUMICE_SDK_OK;
    }
    static const void* get_factory(const char* id) {
        static const pumice_plugin_factory_1 factory = {
            sizeof(pumice_plugin_factory_1), 0, [] { return 1u; },
            [](std::uint32_t index) { return index == 0 ? &Mine::descriptor : nullptr; }, create};
        return std::strcmp(id, PUMICE_PLUGIN_FACTORY_1) == 0 ? &factory : nullptr;
    }

    pumice_plugin plugin_{};
    const pumice_host* host_ = nullptr;
    Mine mine_;
};

/// The host's extensions that samplers work with. To be made in the plugin's init.
struct SamplerHost {
    const pumice_host* host = nullptr;
    const pumice_host_tensor_1* tensor = nullptr;
    const pumice_host_math_1* math = nullptr;
    const pumice_host_progress_1* progress = nullptr;

    /// PUMICE_SDK_MISSING_FEATURE, and an error text, if the host lacks one.
    pumice_sdk_status find(const pumice_host* from) {
        host = from;
        tensor = find_extension<pumice_host_tensor_1>(from, PUMICE_HOST_TENSOR_1);
        math = find_extension<pumice_host_math_1>(from, PUMICE_HOST_MATH_1);
        progress = find_extension<pumice_host_progress_1>(from, PUMICE_HOST_PROGRESS_1);
        if (tensor && math && progress) return PUMICE_SDK_OK;
        from->set_error(from, "the host has no pumice.tensor/1, pumice.math/1 and pumice.progress/1");
        return PUMICE_SDK_MISSING_FEATURE;
    }
};

/// A tensor of the latents' shape; released when it goes, unless it was lent.
class Tensor {
public:
    Tensor() = default;
    Tensor(const SamplerHost& host, pumice_tensor handle, bool owned) : host_(&host), handle_(handle), owned_(owned) {}
    ~Tensor() { reset(); }
    Tensor(Tensor&& other) noexcept
        : host_(other.host_), handle_(std::exchange(other.handle_, 0)), owned_(other.owned_) {}
    Tensor& operator=(Tensor&& other) noexcept {
        if (this != &other) {
            reset();
            host_ = other.host_;
            handle_ = std::exchange(other.handle_, 0);
            owned_ = other.owned_;
        }
        return *this;
    }
    explicit operator bool() const { return handle_ != 0; }
    pumice_tensor handle() const { return handle_; }

private:
    void reset() {
        if (handle_ && owned_) host_->tensor->release(host_->host, handle_);
        handle_ = 0;
    }
    const SamplerHost* host_ = nullptr;
    pumice_tensor handle_ = 0;
    bool owned_ = false;
};

/// weight * tensor.
struct Term {
    double weight;
    const Tensor& tensor;
};

/// Arithmetic on tensors. The first error stays: what is asked for after it does nothing. So a method reads as its
/// formulas.
class TensorWork {
public:
    explicit TensorWork(const SamplerHost& host) : host_(host) {}

    Tensor tensor() {
        pumice_tensor handle = 0;
        take([&] { return host_.tensor->create(host_.host, &handle); });
        return Tensor(host_, handle, true);
    }
    void combine(const Tensor& out, std::initializer_list<Term> terms) {
        take([&] {
            pumice_tensor_term all[PUMICE_TENSOR_MAX_TERMS];
            std::uint32_t count = 0;
            for (const Term& term : terms)
                if (count < PUMICE_TENSOR_MAX_TERMS) all[count++] = {term.weight, term.tensor.handle(), 0};
            if (count != terms.size()) return PUMICE_SDK_INVALID_ARGUMENT;
            return host_.tensor->combine(host_.host, out.handle(), all, count);
        });
    }
    /// One entry a picture and channel.
    void affine(const Tensor& out, const Tensor& tensor, const std::vector<pumice_tensor_affine>& each) {
        take([&] {
            return host_.tensor->affine(host_.host, out.handle(), tensor.handle(), each.data(),
                                        static_cast<std::uint32_t>(each.size()));
        });
    }
    /// One a picture; empty after an error.
    std::vector<pumice_tensor_norms> norms(const Tensor& tensor) {
        std::vector<pumice_tensor_norms> all(shape().pictures);
        take([&] {
            return host_.tensor->norms(host_.host, tensor.handle(), all.data(), static_cast<std::uint32_t>(all.size()));
        });
        return ok() ? all : std::vector<pumice_tensor_norms>();
    }
    /// One a picture and channel; empty after an error.
    std::vector<pumice_tensor_spread> spreads(const Tensor& tensor, double q) {
        const Shape of = shape();
        std::vector<pumice_tensor_spread> all(of.pictures * of.channels);
        take([&] {
            return host_.tensor->spreads(host_.host, tensor.handle(), q, all.data(),
                                         static_cast<std::uint32_t>(all.size()));
        });
        return ok() ? all : std::vector<pumice_tensor_spread>();
    }
    std::vector<float> read(const Tensor& tensor) {
        const Shape of = shape();
        std::vector<float> values(of.pictures * of.channels * of.pixels);
        take([&] { return host_.tensor->read(host_.host, tensor.handle(), values.data(), values.size()); });
        return values;
    }
    struct Shape {
        std::size_t pictures, channels, pixels;
    };
    Shape shape() {
        std::uint32_t nchw[4] = {};
        take([&] { return host_.tensor->shape(host_.host, nchw); });
        return {nchw[0], nchw[1], std::size_t{nchw[2]} * nchw[3]};
    }
    /// Ends the run.
    void fail(pumice_sdk_status status, const char* why) {
        if (!ok()) return;
        host_.host->set_error(host_.host, why);
        status_ = status;
    }

    bool ok() const { return status_ == PUMICE_SDK_OK; }
    pumice_sdk_status status() const { return status_; }

    double exp(double v) const { return host_.math->exp(v); }
    double expm1(double v) const { return host_.math->expm1(v); }
    double log(double v) const { return host_.math->log(v); }
    double pow(double v, double y) const { return host_.math->pow(v, y); }
    double acos(double v) const { return host_.math->acos(v); }

protected:
    template <class Call>
    void take(Call&& call) {
        if (ok()) status_ = call();
    }

    const SamplerHost& host_;

private:
    pumice_sdk_status status_ = PUMICE_SDK_OK;
};

/// One run of a sampler, which gives back its status; a loop ends when step() is false.
class Sampling : public TensorWork {
public:
    Sampling(const SamplerHost& host, const pumice_sampler_call& call)
        : TensorWork(host), call_(call), x_(host, call.x, false) {}

    const Tensor& x() const { return x_; }
    /// Levels, one more than there are steps.
    double sigma(std::size_t i) const { return static_cast<double>(call_.sigmas[i]); }
    std::size_t steps() const { return call_.sigma_count - 1; }
    double highest() const { return sigma(0); }
    /// The last level above 0.
    double lowest() const { return sigma(steps()) > 0 || steps() == 0 ? sigma(steps()) : sigma(steps() - 1); }
    double param(std::size_t i) const { return call_.params[i].number; }

    void denoise(const Tensor& x, double sigma, const Tensor& denoised) {
        take([&] { return call_.denoise(&call_, x.handle(), sigma, denoised.handle()); });
    }
    /// For samplers with PUMICE_SAMPLER_UNCONDITIONAL.
    void denoise_uncond(const Tensor& x, double sigma, double scale, const Tensor& denoised, const Tensor& uncond) {
        take(
            [&] { return call_.denoise_uncond(&call_, x.handle(), sigma, scale, denoised.handle(), uncond.handle()); });
    }
    void noise(const Tensor& out) {
        take([&] { return host_.tensor->noise(host_.host, out.handle()); });
    }
    void brownian(const Tensor& out, double lowest, double highest, double from, double to) {
        take([&] { return host_.tensor->brownian(host_.host, out.handle(), lowest, highest, from, to); });
    }
    /// Step `done` (from 0) of `all` has ended; false when the run is to end.
    bool step(std::size_t done, std::size_t all) {
        take([&] {
            return host_.progress->step(host_.host, static_cast<std::uint32_t>(done + 1),
                                        static_cast<std::uint32_t>(all));
        });
        return ok();
    }
    bool step(std::size_t done) { return step(done, steps()); }

private:
    const pumice_sampler_call& call_;
    Tensor x_;
};

/// One call of a method of guidance, which gives back its status.
class Guiding : public TensorWork {
public:
    Guiding(const SamplerHost& host, const pumice_guidance_call& call)
        : TensorWork(host),
          x(host, call.x, false),
          cond(host, call.cond, false),
          uncond(host, call.uncond, false),
          perturbed(host, call.perturbed, false),
          denoised(host, call.denoised, false),
          sigma(call.sigma),
          scale(call.guidance_scale),
          params_(call.params) {}

    const Tensor x, cond, uncond, perturbed, denoised;  // see pumice_guidance_call
    const double sigma, scale;

    double param(std::size_t i) const { return params_[i].number; }

private:
    const pumice_param_value* params_;
};

}  // namespace pumice::sdk
