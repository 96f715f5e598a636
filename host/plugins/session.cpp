#include "plugins/session.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

#include <fmt/format.h>

#include "plugins/check.hpp"
#include "plugins/library.hpp"
#include "pumice/sdk/ext/log.h"
#include "pumice/sdk/ext/math.h"
#include "pumice/sdk/ext/progress.h"

namespace pumice::plugins {
namespace {

constexpr std::size_t kMostTensors = 256;
/// Entries of an affine that are looked at: of 64 pictures of 64 channels.
constexpr std::uint32_t kMostChannels = 4096;

pumice_sdk_status status_of(Code code) {
    return static_cast<pumice_sdk_status>(code) + 1;
}

Error wrong(const std::string& what) {
    return {Code::invalid_argument, what};
}

}  // namespace

Session::Session(std::string plugin, Log log, Marker* marker)
    : host_{sizeof(pumice_host),
            PUMICE_SDK_ABI_MAJOR,
            PUMICE_SDK_ABI_MINOR,
            0,
            "pumice",
            PUMICE_VERSION_TEXT,
            this,
            extension,
            [](const pumice_host* host, const char* message) {
                of(host).said_ = message ? one_line({message, strnlen(message, 1000)}) : "";
            }},
      plugin_(std::move(plugin)),
      log_(std::move(log)),
      marker_(marker) {}

void Session::begin_run(const Services& services) {
    services_ = services;
    said_.clear();
    failure_.reset();
}

pumice_tensor Session::lend(const Latent& latent) {
    tensors_.push_back({std::nullopt, &latent});
    return static_cast<pumice_tensor>(tensors_.size());
}

std::size_t Session::end_run() {
    const auto left = std::count_if(tensors_.begin(), tensors_.end(), [](const Place& p) { return p.owned.has_value(); });
    tensors_.clear();
    services_ = {};
    return static_cast<std::size_t>(left);
}

const Latent* Session::find(pumice_tensor handle) const {
    if (handle == 0 || handle > tensors_.size()) return nullptr;
    const Place& place = tensors_[handle - 1];
    return place.owned ? &*place.owned : place.latent;
}

pumice_sdk_status Session::answer(const Status& status) {
    if (status) return PUMICE_SDK_OK;
    if (!failure_) failure_ = status.error();
    return status_of(status.error().code);
}

Status Session::outcome(pumice_sdk_status status, const std::string& thrown, const std::string& doing) {
    // An error of the host's that the plugin kept to itself would leave a picture of no meaning.
    if (failure_ && thrown.empty() && (status == PUMICE_SDK_OK || status == status_of(failure_->code))) {
        // A wrong handle or weight is the plugin's fault though the host found it.
        host_fault_ = failure_->code != Code::invalid_argument;
        return *failure_;
    }
    if (status == PUMICE_SDK_OK && thrown.empty()) return {};
    return plugin_error(status, said_, thrown, doing);
}

template <class Work>
pumice_sdk_status Session::serve(Work&& work) {
    const Marked outside(marker_, false);
    try {
        return answer(work());
    } catch (const std::bad_alloc&) {
        return answer(Error{Code::out_of_host_memory, "out of memory on the host"});
    } catch (const std::exception& e) {
        return answer(Error{Code::internal, e.what()});
    }
}

const pumice_host_tensor_1& Session::tensor_extension() {
    static const pumice_host_tensor_1 kTensor = {
        .struct_size = sizeof(pumice_host_tensor_1),
        .reserved = 0,
        .shape = [](const pumice_host* host, std::uint32_t nchw[4]) -> pumice_sdk_status {
            return of(host).serve([&]() -> Status {
                if (!nchw || !of(host).math()) return wrong("pumice.tensor/1: shape outside of a run, or to NULL");
                const auto shape = of(host).math()->nchw();
                std::copy(shape.begin(), shape.end(), nchw);
                return {};
            });
        },
        .create = [](const pumice_host* host, pumice_tensor* tensor) -> pumice_sdk_status {
            return of(host).serve([&]() -> Status {
                Session& s = of(host);
                if (!tensor || !s.math()) return wrong("pumice.tensor/1: create outside of a run, or to NULL");
                PUMICE_ASSIGN(Latent latent, s.math()->create_latent());
                auto place = std::find_if(s.tensors_.begin(), s.tensors_.end(),
                                          [](const Place& p) { return !p.owned && !p.latent; });
                if (place == s.tensors_.end()) {
                    if (s.tensors_.size() >= kMostTensors)
                        return wrong(fmt::format("pumice.tensor/1: more than {} tensors at once", kMostTensors));
                    place = s.tensors_.insert(s.tensors_.end(), Place{});
                }
                place->owned = std::move(latent);
                *tensor = static_cast<pumice_tensor>(place - s.tensors_.begin() + 1);
                return {};
            });
        },
        .release =
            [](const pumice_host* host, pumice_tensor tensor) {
                Session& s = of(host);
                const Marked outside(s.marker_, false);
                if (tensor > 0 && tensor <= s.tensors_.size()) s.tensors_[tensor - 1].owned.reset();
            },
        .combine = [](const pumice_host* host, pumice_tensor out, const pumice_tensor_term* terms,
                      std::uint32_t count) -> pumice_sdk_status {
            return of(host).serve([&]() -> Status {
                Session& s = of(host);
                const Latent* to = s.find(out);
                if (!to || !terms || count == 0 || count > PUMICE_TENSOR_MAX_TERMS)
                    return wrong(fmt::format("pumice.tensor/1: combine of {} terms into tensor {}", count, out));
                std::vector<LatentTerm> all;
                for (std::uint32_t i = 0; i < count; ++i) {
                    const Latent* term = s.find(terms[i].tensor);
                    if (!term) return wrong(fmt::format("pumice.tensor/1: there is no tensor {}", terms[i].tensor));
                    all.push_back({terms[i].weight, *term});
                }
                return s.math()->linear_combination(*to, all);
            });
        },
        .noise = [](const pumice_host* host, pumice_tensor out) -> pumice_sdk_status {
            return of(host).serve([&]() -> Status {
                const Latent* to = of(host).find(out);
                if (!to) return wrong(fmt::format("pumice.tensor/1: there is no tensor {}", out));
                return of(host).math()->noise(*to);
            });
        },
        .brownian = [](const pumice_host* host, pumice_tensor out, double lowest, double highest, double from,
                       double to) -> pumice_sdk_status {
            return of(host).serve([&]() -> Status {
                const Latent* tensor = of(host).find(out);
                if (!tensor) return wrong(fmt::format("pumice.tensor/1: there is no tensor {}", out));
                return of(host).math()->brownian(*tensor, lowest, highest, from, to);
            });
        },
        .norms = [](const pumice_host* host, pumice_tensor tensor, pumice_tensor_norms* norms,
                    std::uint32_t count) -> pumice_sdk_status {
            return of(host).serve([&]() -> Status {
                const Latent* from = of(host).find(tensor);
                if (!from || !norms || count != of(host).math()->nchw()[0])
                    return wrong(fmt::format("pumice.tensor/1: {} norms of tensor {}", count, tensor));
                PUMICE_ASSIGN(const auto all, of(host).math()->norms(*from));
                for (std::uint32_t i = 0; i < count; ++i) norms[i] = {all[i].sum, all[i].squares, all[i].largest};
                return {};
            });
        },
        .read = [](const pumice_host* host, pumice_tensor tensor, float* values,
                   std::size_t count) -> pumice_sdk_status {
            return of(host).serve([&]() -> Status {
                const Latent* from = of(host).find(tensor);
                if (!from || !values) return wrong(fmt::format("pumice.tensor/1: read of tensor {}", tensor));
                PUMICE_ASSIGN(const auto all, of(host).math()->download(*from));
                if (count != all.size())
                    return wrong(fmt::format("pumice.tensor/1: read of {} values, there are {}", count, all.size()));
                std::copy(all.begin(), all.end(), values);
                return {};
            });
        },
        .write = [](const pumice_host* host, pumice_tensor tensor, const float* values,
                    std::size_t count) -> pumice_sdk_status {
            return of(host).serve([&]() -> Status {
                const Latent* to = of(host).find(tensor);
                if (!to || !values) return wrong(fmt::format("pumice.tensor/1: write of tensor {}", tensor));
                return of(host).math()->upload(*to, {values, count});
            });
        },
        .affine = [](const pumice_host* host, pumice_tensor out, pumice_tensor tensor, const pumice_tensor_affine* each,
                     std::uint32_t count) -> pumice_sdk_status {
            return of(host).serve([&]() -> Status {
                Session& s = of(host);
                const Latent *to = s.find(out), *from = s.find(tensor);
                if (!to || !from || !each)
                    return wrong(fmt::format("pumice.tensor/1: affine of tensor {} into tensor {}", tensor, out));
                std::vector<ChannelAffine> all;
                for (std::uint32_t i = 0; i < count && i < kMostChannels; ++i)
                    all.push_back({each[i].scale, each[i].offset, each[i].low, each[i].high});
                return s.math()->affine(*to, *from, all);
            });
        },
        .spreads = [](const pumice_host* host, pumice_tensor tensor, double q, pumice_tensor_spread* spreads,
                      std::uint32_t count) -> pumice_sdk_status {
            return of(host).serve([&]() -> Status {
                const Latent* from = of(host).find(tensor);
                if (!from || !spreads) return wrong(fmt::format("pumice.tensor/1: spreads of tensor {}", tensor));
                PUMICE_ASSIGN(const auto all, of(host).math()->spreads(*from, q));
                if (count != all.size())
                    return wrong(fmt::format("pumice.tensor/1: {} spreads, there are {}", count, all.size()));
                for (std::uint32_t i = 0; i < count; ++i)
                    spreads[i] = {all[i].mean, all[i].deviation, all[i].largest, all[i].quantile};
                return {};
            });
        },
    };
    return kTensor;
}

const void* Session::extension(const pumice_host*, const char* id) {
    static const pumice_host_log_1 kLog = {
        sizeof(pumice_host_log_1), 0, [](const pumice_host* host, std::int32_t level, const char* line) {
            if (!line) return;
            const Marked outside(of(host).marker_, false);
            const int known = std::clamp<int>(level, PUMICE_SDK_LOG_DEBUG, PUMICE_SDK_LOG_WARNING);
            of(host).log_.write(static_cast<LogLevel>(known), fmt::format("plugin {}: {}", of(host).plugin_,
                                                                         one_line({line, strnlen(line, 1000)})));
        }};
    static const pumice_host_progress_1 kProgress = {
        sizeof(pumice_host_progress_1), 0,
        [](const pumice_host* host, std::uint32_t done, std::uint32_t all) -> pumice_sdk_status {
            return of(host).serve([&]() -> Status {
                if (done == 0) return wrong("pumice.progress/1: steps count from 1");
                return of(host).services_.step ? of(host).services_.step(done, std::max(done, all)) : Status{};
            });
        },
        [](const pumice_host* host) -> pumice_sdk_status {
            return of(host).serve([&] { return of(host).services_.check ? of(host).services_.check() : Status{}; });
        }};
    if (!id) return nullptr;
    if (std::strcmp(id, PUMICE_HOST_TENSOR_1) == 0) return &tensor_extension();
    if (std::strcmp(id, PUMICE_HOST_PROGRESS_1) == 0) return &kProgress;
    if (std::strcmp(id, PUMICE_HOST_LOG_1) == 0) return &kLog;
    if (std::strcmp(id, PUMICE_HOST_MATH_1) == 0) return &host_math();
    return nullptr;
}

}  // namespace pumice::plugins
