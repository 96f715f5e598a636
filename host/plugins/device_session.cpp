#include "plugins/device_session.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "base/half.hpp"
#include "plugins/plugin_program.hpp"
#include "plugins/session.hpp"
#include "weights/weight_plan.hpp"

namespace pumice::plugins {
namespace {

constexpr std::size_t kMostFiles = 64, kMostWeights = 65536;

Error wrong(const std::string& what) {
    return {Code::invalid_argument, what};
}

/// How the weight set loads a use; linear and convolution are stored alike.
Result<WeightUse> stored_use(std::uint32_t use) {
    switch (use) {
        case PUMICE_WEIGHT_LINEAR:
        case PUMICE_WEIGHT_CONV:
            return WeightUse::conv;
        case PUMICE_WEIGHT_GEGLU:
            return WeightUse::geglu;
        case PUMICE_WEIGHT_VECTOR:
            return WeightUse::vector;
        case PUMICE_WEIGHT_GEGLU_VECTOR:
            return WeightUse::geglu_vector;
        default:
            return wrong(fmt::format("pumice.weights/1: {} is no use of a tensor", use));
    }
}

Status to_floats(const StoredTensor& t, std::span<float> out) {
    const auto element = [&](auto zero, std::size_t i) {
        std::memcpy(&zero, t.data.data() + i * sizeof(zero), sizeof(zero));
        return zero;
    };
    for (std::size_t i = 0; i < out.size(); ++i) {
        switch (t.dtype) {
            case StoredType::f64:
                out[i] = static_cast<float>(element(double{}, i));
                break;
            case StoredType::f32:
                out[i] = element(float{}, i);
                break;
            case StoredType::f16:
                out[i] = f16_to_f32(element(std::uint16_t{}, i));
                break;
            case StoredType::bf16:
                out[i] = bf16_to_f32(element(std::uint16_t{}, i));
                break;
            default:
                return Error{Code::unsupported,
                             fmt::format("tensor {} is {}, which is not read as floats", t.name, to_string(t.dtype))};
        }
    }
    return {};
}

}  // namespace

DeviceSession::DeviceSession(Session& session, DeviceServices services)
    : session_(session), services_(std::move(services)) {}

DeviceSession::~DeviceSession() = default;

pumice_graph DeviceSession::begin_building(Building building) {
    building.graph->set_scope(building.scope);
    graphs_.emplace(next_graph_, std::move(building));
    return next_graph_++;
}

void DeviceSession::end_building(pumice_graph handle) {
    if (Building* found = building(handle)) found->graph->set_scope({});
    graphs_.erase(handle);
}

Building* DeviceSession::building(pumice_graph handle) {
    const auto found = graphs_.find(handle);
    return found == graphs_.end() ? nullptr : &found->second;
}

Status DeviceSession::flush_weights() {
    for (const auto& file : files_)
        if (file) PUMICE_TRY(file->set.flush());
    return {};
}

void DeviceSession::release_weights() {
    for (const auto& file : files_)
        if (file) file->set.release();
}

std::uint64_t DeviceSession::weight_bytes() const {
    std::uint64_t sum = 0;
    for (const auto& file : files_) sum += file ? file->set.device_bytes() : 0;
    return sum;
}

std::size_t DeviceSession::held() const {
    const auto there = [](const auto& each) { return each != nullptr; };
    return static_cast<std::size_t>(std::count_if(files_.begin(), files_.end(), there) +
                                    std::count_if(programs_.begin(), programs_.end(), there));
}

const Weight& DeviceSession::weight(Graph& g, pumice_weight handle) {
    static const Weight none;
    WeightFile* from = handle > 0 && handle <= weights_.size() ? file(weights_[handle - 1].file) : nullptr;
    if (!from) {
        g.fail(wrong(fmt::format("there is no weight {}", handle)));
        return none;
    }
    const WeightUseOf& w = weights_[handle - 1];
    switch (w.use) {
        case PUMICE_WEIGHT_GEGLU:
            return from->set.geglu(g, w.name);
        case PUMICE_WEIGHT_VECTOR:
            return from->set.vector(g, w.name);
        case PUMICE_WEIGHT_GEGLU_VECTOR:
            return *from->set.geglu_bias(g, w.name);
        default:
            return from->set.conv(g, w.name);
    }
}

DeviceSession::WeightFile* DeviceSession::file(pumice_weight_file handle) {
    return handle > 0 && handle <= files_.size() ? files_[handle - 1].get() : nullptr;
}

Result<pumice_weight> DeviceSession::load(pumice_weight_file handle, const char* name, std::uint32_t use) {
    WeightFile* from = file(handle);
    if (!from || !name) return wrong(fmt::format("pumice.weights/1: there is no file {}, or no name", handle));
    PUMICE_ASSIGN(const WeightUse stored, stored_use(use));
    PUMICE_ASSIGN(const StoredTensor* tensor, from->file.tensor(name));
    auto planned = planned_weight(*tensor, stored);
    if (!planned) return Error{planned.error().code, from->file.path() + ": " + planned.error().message};
    for (std::size_t i = 0; i < weights_.size(); ++i) {
        const WeightUseOf& w = weights_[i];
        if (w.file != handle || w.name != name) continue;
        const auto other = stored_use(w.use);
        if (*other != stored)
            return wrong(fmt::format("pumice.weights/1: {} is loaded for two uses, {} and {}", name, w.use, use));
        if (w.use == use) return static_cast<pumice_weight>(i + 1);
    }
    if (weights_.size() >= kMostWeights)
        return wrong(fmt::format("pumice.weights/1: more than {} weights", kMostWeights));
    weights_.push_back({handle, name, use});
    return static_cast<pumice_weight>(weights_.size());
}

const pumice_host_weights_1& DeviceSession::weights_extension() {
    // The extension is given out by sessions with a device alone.
    static const auto of = [](const pumice_host* host) -> DeviceSession& { return *Session::of(host).device(); };
    static const pumice_host_weights_1 kWeights = {
        .struct_size = sizeof(pumice_host_weights_1),
        .reserved = 0,
        .open = [](const pumice_host* host, const char* path, pumice_weight_file* opened) -> pumice_sdk_status {
            return Session::of(host).serve([&]() -> Status {
                if (!path || !opened) return wrong("pumice.weights/1: open of NULL, or to NULL");
                auto& files = of(host).files_;
                if (files.size() >= kMostFiles)
                    return wrong(fmt::format("pumice.weights/1: more than {} files", kMostFiles));
                PUMICE_ASSIGN(pumice::WeightFile file, pumice::WeightFile::open(path));
                files.push_back(std::make_unique<WeightFile>(std::move(file), of(host).services_));
                *opened = static_cast<pumice_weight_file>(files.size());
                return {};
            });
        },
        .close =
            [](const pumice_host* host, pumice_weight_file handle) {
                const Marked outside(Session::of(host).marker(), false);
                if (of(host).file(handle)) of(host).files_[handle - 1].reset();
            },
        .count = [](const pumice_host* host, pumice_weight_file handle) -> std::uint32_t {
            const WeightFile* from = of(host).file(handle);
            return from ? static_cast<std::uint32_t>(from->file.tensors().size()) : 0;
        },
        .info = [](const pumice_host* host, pumice_weight_file handle, std::uint32_t index,
                   pumice_weight_info* info) -> pumice_sdk_status {
            return Session::of(host).serve([&]() -> Status {
                const WeightFile* from = of(host).file(handle);
                if (!from || index >= from->file.tensors().size())
                    return wrong(fmt::format("pumice.weights/1: there is no tensor {} of file {}", index, handle));
                if (!info || info->struct_size < sizeof(pumice_weight_info))
                    return wrong("pumice.weights/1: info to NULL, or to a struct of a wrong size");
                const StoredTensor& t = from->file.tensors()[index];
                *info = {info->struct_size, static_cast<std::uint32_t>(t.shape.size()),
                         t.name.c_str(),    to_string(t.dtype),
                         t.shape.data(),    t.data.size()};
                return {};
            });
        },
        .find = [](const pumice_host* host, pumice_weight_file handle, const char* name) -> std::uint32_t {
            const WeightFile* from = of(host).file(handle);
            if (!from) return 0;
            const auto& all = from->file.tensors();
            const StoredTensor* found = name ? from->file.find(name) : nullptr;
            return static_cast<std::uint32_t>(found ? static_cast<std::size_t>(found - all.data()) : all.size());
        },
        .metadata = [](const pumice_host* host, pumice_weight_file handle, const char* key) -> const char* {
            const WeightFile* from = of(host).file(handle);
            if (!from || !key) return nullptr;
            const auto found = from->file.metadata().find(key);
            return found == from->file.metadata().end() ? nullptr : found->second.c_str();
        },
        .load = [](const pumice_host* host, pumice_weight_file handle, const char* name, std::uint32_t use,
                   pumice_weight* weight) -> pumice_sdk_status {
            return Session::of(host).serve([&]() -> Status {
                if (!weight) return wrong("pumice.weights/1: load to NULL");
                PUMICE_ASSIGN(*weight, of(host).load(handle, name, use));
                return {};
            });
        },
        .read = [](const pumice_host* host, pumice_weight_file handle, const char* name, float* values,
                   std::size_t count) -> pumice_sdk_status {
            return Session::of(host).serve([&]() -> Status {
                const WeightFile* from = of(host).file(handle);
                if (!from || !name || !values)
                    return wrong(fmt::format("pumice.weights/1: read of file {}, or of NULL, or to NULL", handle));
                PUMICE_ASSIGN(const StoredTensor* tensor, from->file.tensor(name));
                if (count != tensor->elements())
                    return wrong(fmt::format("pumice.weights/1: read of {} numbers of {}, which has {}", count, name,
                                             tensor->elements()));
                return to_floats(*tensor, {values, count});
            });
        },
        .release =
            [](const pumice_host* host, pumice_weight_file handle) {
                const Marked outside(Session::of(host).marker(), false);
                if (WeightFile* from = of(host).file(handle)) from->set.release();
            },
    };
    return kWeights;
}

const void* DeviceSession::extension(const char* id) {
    if (std::strcmp(id, PUMICE_HOST_WEIGHTS_1) == 0) return &weights_extension();
    if (std::strcmp(id, PUMICE_HOST_GRAPH_1) == 0) return &graph_extension();
    if (std::strcmp(id, PUMICE_HOST_KERNEL_1) == 0) return &kernel_extension();
    return nullptr;
}

}  // namespace pumice::plugins
