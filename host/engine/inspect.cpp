#include <cstdlib>
#include <map>

#include <nlohmann/json.hpp>

#include "base/hash.hpp"
#include "engine/abi.hpp"
#include "models/configs.hpp"
#include "weights/weight_file.hpp"

namespace pumice {
namespace {

using Json = nlohmann::ordered_json;

Json dtypes(const WeightFile& file) {
    std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> sums;  // tensors, bytes
    for (const StoredTensor& tensor : file.tensors()) {
        auto& [tensors, bytes] = sums[to_string(tensor.dtype)];
        ++tensors;
        bytes += tensor.data.size();
    }
    Json json = Json::object();
    for (const auto& [name, sum] : sums) json[name] = {{"tensors", sum.first}, {"bytes", sum.second}};
    return json;
}

std::uint64_t parameters(const WeightFile& file, std::string_view prefix) {
    std::uint64_t sum = 0;
    for (const StoredTensor& tensor : file.tensors())
        if (tensor.name.starts_with(prefix)) sum += tensor.elements();
    return sum;
}

Json geometry(const WeightFile& file, const ModelConfig& config) {
    const UnetConfig& unet = config.unet;
    const VaeConfig& vae = config.vae;
    Json text = Json::array();
    for (const TextConfig& t : config.text)
        text.push_back({{"summary", describe(t)},
                        {"parameters", parameters(file, t.prefix)},
                        {"width", t.width},
                        {"layers", t.layers},
                        {"heads", t.heads},
                        {"vocabulary", t.vocabulary},
                        {"positions", t.positions}});
    return {{"prediction", config.v_prediction ? "v" : "eps"},
            {"zero_terminal_snr", config.zero_terminal_snr},
            {"unet",
             {{"summary", describe(unet)},
              {"parameters", parameters(file, kUnetPrefix)},
              {"in_channels", unet.in_channels},
              {"out_channels", unet.out_channels},
              {"model_channels", unet.model_channels},
              {"context_channels", unet.context_channels},
              {"heads", unet.head_channels ? 0 : unet.heads},
              {"head_channels", unet.head_channels},
              {"vector_channels", unet.vector_channels},
              {"levels", unet.levels()}}},
            {"vae",
             {{"summary", describe(vae)},
              {"parameters", parameters(file, kVaePrefix)},
              {"channels", vae.channels},
              {"latent_channels", vae.latent_channels},
              {"factor", vae.factor()},
              {"scaling_factor", vae.scaling_factor}}},
            {"text", std::move(text)}};
}

/// A file of another family has no geometry; that it is one is worth a report, not an error.
Result<Json> geometry_or_null(const WeightFile& file, Family family) {
    if (!runs(family)) return Json(nullptr);
    auto config = model_config(file);
    if (!config && config.error().code == Code::unsupported) return Json(nullptr);
    if (!config) return config.error();
    return geometry(file, *config);
}

/// A file's digest; of a model in several files, that of a line a file: digest, two spaces, name.
Result<std::string> digest_of(const WeightFile& file) {
    if (file.files().size() == 1) return sha256_file(file.files()[0]->path());
    std::string lines;
    for (const auto& part : file.files()) {
        PUMICE_ASSIGN(const std::string digest, sha256_file(part->path()));
        lines += digest + "  " + part->path().filename().string() + "\n";
    }
    return sha256(std::as_bytes(std::span(lines.data(), lines.size())));
}

Result<std::string> path_sha256(const char* path) {
    std::error_code ignored;
    if (!std::filesystem::is_directory(path, ignored)) return sha256_file(path);
    PUMICE_ASSIGN(const WeightFile file, WeightFile::open(path));
    return digest_of(file);
}

std::uint64_t bytes_of(const WeightFile& file) {
    std::uint64_t sum = 0;
    for (const auto& part : file.files()) sum += part->bytes().size();
    return sum;
}

Result<std::string> inspect(const char* path) {
    PUMICE_ASSIGN(const WeightFile file, WeightFile::open(path));
    const Family family = recognize(file);
    PUMICE_ASSIGN(Json shape, geometry_or_null(file, family));
    PUMICE_ASSIGN(const std::string digest, digest_of(file));
    const Json json = {{"file", path},
                       {"format", to_string(file.format())},
                       {"bytes", bytes_of(file)},
                       {"sha256", digest},
                       {"family", to_string(family)},
                       {"geometry", std::move(shape)},
                       {"tensors", file.tensors().size()},
                       {"parameters", parameters(file, "")},
                       {"dtypes", dtypes(file)},
                       {"metadata", file.metadata()}};
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace
}  // namespace pumice

extern "C" {

pumice_status pumice_inspect_file(const char* path, char** json, pumice_error* error) {
    return pumice::abi::guard(error, [&]() -> pumice::Status {
        if (!json) return pumice::Error{pumice::Code::invalid_argument, "json is NULL"};
        *json = nullptr;
        if (!path || !*path) return pumice::Error{pumice::Code::invalid_argument, "path is empty"};
        PUMICE_ASSIGN(const std::string text, pumice::inspect(path));
        *json = pumice::abi::text_to_caller(text);
        return {};
    });
}

void pumice_string_destroy(char* string) {
    std::free(string);
}

pumice_status pumice_file_sha256(const char* path, char digits[65], pumice_error* error) {
    return pumice::abi::guard(error, [&]() -> pumice::Status {
        if (!digits) return pumice::Error{pumice::Code::invalid_argument, "digits is NULL"};
        if (!path || !*path) return pumice::Error{pumice::Code::invalid_argument, "path is empty"};
        PUMICE_ASSIGN(const std::string text, pumice::path_sha256(path));
        if (text.size() != 64) return pumice::Error{pumice::Code::internal, "a digest of a wrong length"};
        std::memcpy(digits, text.c_str(), 65);
        return {};
    });
}

}  // extern "C"
