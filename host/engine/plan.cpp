#include <nlohmann/json.hpp>

#include "engine/abi.hpp"
#include "engine/objects.hpp"
#include "pipelines/memory_plan.hpp"

namespace pumice {
namespace {

std::string text_of(const MemoryPlan& plan) {
    nlohmann::ordered_json json = {{"budget", plan.budget}, {"free", plan.free},     {"peak", plan.peak},
                                   {"stays", plan.stays},   {"stages", nlohmann::ordered_json::array()}};
    for (const MemoryPlan::Stage& s : plan.stages) {
        nlohmann::ordered_json stage = {{"name", s.name},
                                        {"weights", s.weights},
                                        {"activations", s.activations},
                                        {"peak", s.peak},
                                        {"choice", s.parts > 0 ? "streamed" : "resident"},
                                        {"resident", s.resident}};
        if (s.parts > 0) {
            stage["streamed"] = s.streamed;
            stage["parts"] = s.parts;
        }
        if (s.tiles > 0) {
            stage["tiles"] = s.tiles;
            stage["tile_width"] = s.tile_width;
            stage["tile_height"] = s.tile_height;
        }
        json["stages"].push_back(std::move(stage));
    }
    return json.dump();
}

Result<std::string> plan_text(pumice_model& model, const pumice_request& given) {
    const std::lock_guard lock(model.engine->running);
    model.engine->device->allocator().set_limit(model.model->memory_limit());
    PUMICE_ASSIGN(const MemoryPlan made,
                  plan_memory(*model.model, {.width = given.width,
                                             .height = given.height,
                                             .batch = given.batch,
                                             .guidance = given.guidance_scale > 1}));
    return text_of(made);
}

}  // namespace
}  // namespace pumice

extern "C" pumice_status pumice_model_plan(pumice_model* model, const pumice_request* request, char** json,
                                           pumice_error* error) {
    return pumice::abi::guard(error, [&]() -> pumice::Status {
        if (!json) return pumice::Error{pumice::Code::invalid_argument, "json is NULL"};
        *json = nullptr;
        if (!model) return pumice::Error{pumice::Code::invalid_argument, "model is NULL"};
        PUMICE_ASSIGN(const pumice_request given, pumice::abi::read_struct(request, "request"));
        PUMICE_ASSIGN(const std::string text, pumice::plan_text(*model, given));
        *json = pumice::abi::text_to_caller(text);
        return {};
    });
}
