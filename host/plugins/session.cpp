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
    last_failure_.reset();
}

pumice_tensor Session::lend(const Latent& latent) {
    tensors_.push_back({std::nullopt, &latent});
    return static_cast<pumice_tensor>(tensors_.size());
}

void Session::offer(DeviceServices services) {
    device_ = std::make_unique<DeviceSession>(*this, std::move(services));
}

pumice_picture Session::lend(Picture& picture) {
    pictures_.push_back({nullptr, &picture});
    return static_cast<pumice_picture>(pictures_.size());
}

Picture* Session::find_picture(pumice_picture handle) {
    return handle == 0 || handle > pictures_.size() ? nullptr : pictures_[handle - 1].picture;
}

std::size_t Session::end_run() {
    for (PicturePlace& place : pictures_)
        if (!place.owned) place.picture = nullptr;
    const auto left =
        std::count_if(tensors_.begin(), tensors_.end(), [](const Place& p) { return p.owned.has_value(); });
    tensors_.clear();
    services_ = {};
    return static_cast<std::size_t>(left);
}

std::size_t Session::held() const {
    const auto pictures =
        std::count_if(pictures_.begin(), pictures_.end(), [](const PicturePlace& p) { return !!p.owned; });
    return static_cast<std::size_t>(pictures) + (device_ ? device_->held() : 0);
}

const Latent* Session::find(pumice_tensor handle) const {
    if (handle == 0 || handle > tensors_.size()) return nullptr;
    const Place& place = tensors_[handle - 1];
    return place.owned ? &*place.owned : place.latent;
}

pumice_sdk_status Session::answer(const Status& status) {
    if (status) return PUMICE_SDK_OK;
    if (!failure_) failure_ = status.error();
    last_failure_ = status.error();
    return status_of(status.error().code);
}

Error Session::init_error(Error error) const {
    const std::string& more = last_failure_ ? last_failure_->message : said_;
    // "its plugin's init failed", and in place of the status' meaning what is known.
    if (!more.empty()) error.message = error.message.substr(0, error.message.find(": ")) + ": " + more;
    return error;
}

Status Session::outcome(pumice_sdk_status status, const std::string& thrown, const std::string& doing) {
    // An error of the host's that the plugin kept to itself would leave a picture of no meaning.
    const std::optional<Error>& mine = status == PUMICE_SDK_OK ? failure_ : last_failure_;
    if (mine && thrown.empty() && (status == PUMICE_SDK_OK || status == status_of(mine->code))) {
        // A wrong handle or weight is the plugin's fault though the host found it.
        host_fault_ = mine->code != Code::invalid_argument;
        return *mine;
    }
    if (status == PUMICE_SDK_OK && thrown.empty()) return {};
    return plugin_error(status, said_, thrown, doing);
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

const pumice_host_image_1& Session::image_extension() {
    static const pumice_host_image_1 kImage = {
        .struct_size = sizeof(pumice_host_image_1),
        .reserved = 0,
        .create = [](const pumice_host* host, std::uint32_t format, std::uint32_t width, std::uint32_t height,
                     pumice_picture* picture) -> pumice_sdk_status {
            return of(host).serve([&]() -> Status {
                if (!picture) return wrong("pumice.image/1: create to NULL");
                auto& all = of(host).pictures_;
                auto place = std::find_if(all.begin(), all.end(), [](const PicturePlace& p) { return !p.picture; });
                if (place == all.end()) {
                    if (all.size() >= kMostTensors)
                        return wrong(fmt::format("pumice.image/1: more than {} pictures at once", kMostTensors));
                    place = all.insert(all.end(), PicturePlace{});
                }
                PUMICE_ASSIGN(Picture made, Picture::create(format, width, height));
                place->owned = std::make_unique<Picture>(std::move(made));
                place->picture = place->owned.get();
                *picture = static_cast<pumice_picture>(place - all.begin() + 1);
                return {};
            });
        },
        .info = [](const pumice_host* host, pumice_picture picture, pumice_picture_info* info) -> pumice_sdk_status {
            return of(host).serve([&]() -> Status {
                Picture* found = of(host).find_picture(picture);
                if (!found) return wrong(fmt::format("pumice.image/1: there is no picture {}", picture));
                if (!info || info->struct_size < sizeof(pumice_picture_info))
                    return wrong("pumice.image/1: info to NULL, or to a struct of a wrong size");
                *info = {info->struct_size, found->format(),    found->width(),
                         found->height(),   found->row_bytes(), found->pixels()};
                return {};
            });
        },
        .release =
            [](const pumice_host* host, pumice_picture picture) {
                Session& s = of(host);
                const Marked outside(s.marker_, false);
                if (picture > 0 && picture <= s.pictures_.size() && s.pictures_[picture - 1].owned)
                    s.pictures_[picture - 1] = {};
            },
    };
    return kImage;
}

const void* Session::extension(const pumice_host* host, const char* id) {
    static const pumice_host_log_1 kLog = {
        sizeof(pumice_host_log_1), 0, [](const pumice_host* from, std::int32_t level, const char* line) {
            if (!line) return;
            const Marked outside(of(from).marker_, false);
            const int known = std::clamp<int>(level, PUMICE_SDK_LOG_DEBUG, PUMICE_SDK_LOG_WARNING);
            of(from).log_.write(static_cast<LogLevel>(known),
                                fmt::format("plugin {}: {}", of(from).plugin_, one_line({line, strnlen(line, 1000)})));
        }};
    static const pumice_host_progress_1 kProgress = {
        sizeof(pumice_host_progress_1), 0,
        [](const pumice_host* from, std::uint32_t done, std::uint32_t all) -> pumice_sdk_status {
            return of(from).serve([&]() -> Status {
                if (done == 0) return wrong("pumice.progress/1: steps count from 1");
                return of(from).services_.step ? of(from).services_.step(done, std::max(done, all)) : Status{};
            });
        },
        [](const pumice_host* from) -> pumice_sdk_status {
            return of(from).serve([&] { return of(from).services_.check ? of(from).services_.check() : Status{}; });
        }};
    if (!id) return nullptr;
    if (std::strcmp(id, PUMICE_HOST_TENSOR_1) == 0) return &tensor_extension();
    if (std::strcmp(id, PUMICE_HOST_PROGRESS_1) == 0) return &kProgress;
    if (std::strcmp(id, PUMICE_HOST_LOG_1) == 0) return &kLog;
    if (std::strcmp(id, PUMICE_HOST_MATH_1) == 0) return &host_math();
    if (std::strcmp(id, PUMICE_HOST_IMAGE_1) == 0) return &image_extension();
    return of(host).device() ? DeviceSession::extension(id) : nullptr;
}

}  // namespace pumice::plugins
