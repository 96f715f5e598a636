// Models with adapters in them, and adapters taken out of models.
#include <cmath>

#include <nlohmann/json.hpp>

#include "engine/abi.hpp"
#include "engine/objects.hpp"
#include "engine/write_model.hpp"
#include "models/bake_lora.hpp"

namespace pumice {
namespace {

using Json = nlohmann::ordered_json;

Result<std::string> bake(const pumice_bake_request& request, const char* output, const pumice_write_options& options) {
    if (!request.adapter_count || !request.adapters) return Error{Code::invalid_argument, "no adapters"};
    PUMICE_ASSIGN(const WriteTarget target, write_target(output, options));
    PUMICE_ASSIGN(const WeightFile file, open_with_parts(request.model, options));
    const AdapterTargets targets(file);
    std::vector<AdapterSet::Entry> entries;
    std::vector<std::string> notes;
    for (std::size_t i = 0; i < request.adapter_count; ++i) {
        PUMICE_ASSIGN(const pumice_adapter given, abi::read_struct(request.adapters[i], "adapter"));
        const std::string path = abi::text_or_empty(given.file);
        if (path.empty()) return Error{Code::invalid_argument, "an adapter has no file"};
        for (const float weight : {given.text_weight, given.unet_weight})
            if (!(std::abs(weight) <= 1000))
                return Error{Code::invalid_argument,
                             fmt::format("adapter {}: weight {}, use -1000 to 1000", path, weight)};
        PUMICE_ASSIGN(auto adapter, Adapter::open(path, targets));
        if (std::string note = adapter->warning(); !note.empty()) notes.push_back(std::move(note));
        entries.push_back({std::move(adapter), given.text_weight, given.unet_weight});
    }
    PUMICE_ASSIGN(OutputModel model, output_model(file, {options.prune != 0, options.ema != 0}));
    const std::size_t changed = bake_adapters(model, std::make_shared<const AdapterSet>(std::move(entries)));
    notes.push_back(fmt::format("{} tensors changed", changed));
    return write_reported(std::move(model), target, options, file, std::move(notes));
}

Result<std::string> extract(const pumice_extract_request& request, const char* output, pumice_write_options options) {
    constexpr std::uint32_t kMost = 4096;
    if (request.rank < 1 || request.rank > kMost || request.conv_rank > kMost)
        return Error{Code::invalid_argument, fmt::format("rank {}: use 1 to {}", request.rank, kMost)};
    if (abi::text_or_empty(options.type).empty()) options.type = "fp16";
    PUMICE_ASSIGN(const WriteTarget target, write_target(output, options));
    if (target.format != OutputFormat::safetensors && target.format != OutputFormat::checkpoint)
        return Error{Code::invalid_argument, fmt::format("{}: a LoRA is written as .safetensors or .ckpt", output)};
    PUMICE_ASSIGN(const WeightFile tuned, WeightFile::open(request.tuned));
    PUMICE_ASSIGN(const WeightFile base, WeightFile::open(request.base));
    PUMICE_ASSIGN(ExtractedLora lora, extract_lora(tuned, base, {request.rank, request.conv_rank}));
    std::vector<std::string> notes;
    if (lora.share->other > 0)
        notes.push_back(fmt::format("{} tensors that differ are no layers that a LoRA changes, and are left out",
                                    lora.share->other));
    PUMICE_ASSIGN(const std::string text,
                  write_reported(std::move(lora.model), target, options, tuned, std::move(notes)));
    Json report = Json::parse(text);
    const double captured = lora.share->squares > 0 ? lora.share->captured / lora.share->squares : 1;
    report["captured"] = captured;
    report["notes"].push_back(
        fmt::format("{} layers; the LoRA has {:.2f}% of the difference's energy", lora.share->modules, 100 * captured));
    return report.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace
}  // namespace pumice

extern "C" {

pumice_status pumice_bake(const pumice_bake_request* request, const char* output, const pumice_write_options* options,
                          char** report, pumice_error* error) {
    return pumice::abi::guard(error, [&]() -> pumice::Status {
        if (!report) return pumice::Error{pumice::Code::invalid_argument, "report is NULL"};
        *report = nullptr;
        if (!output || !*output) return pumice::Error{pumice::Code::invalid_argument, "output is empty"};
        PUMICE_ASSIGN(const pumice_bake_request wanted, pumice::abi::read_struct(request, "request"));
        if (!wanted.model || !*wanted.model) return pumice::Error{pumice::Code::invalid_argument, "model is empty"};
        pumice_write_options values = PUMICE_WRITE_OPTIONS_INIT;
        if (options) {
            PUMICE_ASSIGN(values, pumice::abi::read_struct(options, "options"));
        }
        PUMICE_ASSIGN(const std::string text, pumice::bake(wanted, output, values));
        *report = pumice::abi::text_to_caller(text);
        return {};
    });
}

pumice_status pumice_extract(const pumice_extract_request* request, const char* output,
                             const pumice_write_options* options, char** report, pumice_error* error) {
    return pumice::abi::guard(error, [&]() -> pumice::Status {
        if (!report) return pumice::Error{pumice::Code::invalid_argument, "report is NULL"};
        *report = nullptr;
        if (!output || !*output) return pumice::Error{pumice::Code::invalid_argument, "output is empty"};
        PUMICE_ASSIGN(const pumice_extract_request wanted, pumice::abi::read_struct(request, "request"));
        for (const char* const model : {wanted.tuned, wanted.base})
            if (!model || !*model)
                return pumice::Error{pumice::Code::invalid_argument, "an extraction needs two models, tuned and base"};
        pumice_write_options values = PUMICE_WRITE_OPTIONS_INIT;
        if (options) {
            PUMICE_ASSIGN(values, pumice::abi::read_struct(options, "options"));
        }
        PUMICE_ASSIGN(const std::string text, pumice::extract(wanted, output, values));
        *report = pumice::abi::text_to_caller(text);
        return {};
    });
}

}  // extern "C"
