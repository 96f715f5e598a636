#include "pipelines/memory_plan.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace pumice {
namespace {

Status check(const MemoryRequest& r, std::uint32_t factor) {
    for (const auto& [name, value] : {std::pair{"width", r.width}, std::pair{"height", r.height}})
        if (value % factor != 0 || value < 64 || value > 16384)
            return Error{Code::invalid_argument,
                         fmt::format("{} {}: use a multiple of {} from 64 to 16384", name, value, factor)};
    if (r.batch < 1 || r.batch > 64) return Error{Code::invalid_argument, fmt::format("batch {}: use 1 to 64", r.batch)};
    return {};
}

MemoryPlan::Stage stage_of(const char* name, const ProgramPlan& plan) {
    MemoryPlan::Stage stage{.name = name};
    stage.weights = plan.weights;
    stage.activations = plan.activations;
    stage.resident = plan.stream.resident_bytes;
    stage.streamed = plan.stream.streamed_bytes;
    stage.parts = plan.stream.segments.size();
    stage.peak = plan.peak();
    return stage;
}

}  // namespace

Result<MemoryPlan> plan_memory(Model& model, const MemoryRequest& request) {
    const std::uint32_t factor = model.config().vae.factor();
    PUMICE_TRY(check(request, factor));
    const std::uint32_t height = request.height / factor, width = request.width / factor;
    MemoryPlan plan;
    model.begin_request();
    plan.free = model.make_room(std::uint64_t(1) << 60, nullptr);  // all weights leave: the plan is for a fresh start
    model.release_text_weights();
    plan.free = model.make_room(0, nullptr);
    model.begin_request();
    plan.stays = model.fits_at_once();
    plan.budget = model.memory_limit() ? model.memory_limit() : plan.free;

    MemoryPlan::Stage text{.name = "text_encoder"};
    for (std::size_t i = 0; i < model.config().text.size(); ++i) text.weights += model.text_weights(i).file_bytes();
    text.resident = text.weights;
    text.peak = text.weights;
    if (text.weights > plan.free)
        return Error{Code::out_of_device_memory,
                     fmt::format("no device memory for the text encoder, which has weights of {} bytes: {} are free",
                                 text.weights, plan.free)};
    plan.stages.push_back(text);
    std::uint64_t held = plan.stays ? text.weights : 0;  // by stages that are over

    UnetDenoiserOptions options{.pictures = request.batch, .height = height, .width = width,
                                .guidance = request.guidance};
    auto unet = UnetDenoiser::plan(model, options, plan.free - held);
    if (held > 0 && (!unet || !unet->stream.segments.empty())) {
        held = 0;
        plan.stays = false;
        unet = UnetDenoiser::plan(model, options, plan.free);
    }
    if (!unet) return std::move(unet.error());
    MemoryPlan::Stage steps = stage_of("unet", *unet);
    steps.peak += held;
    plan.stays = plan.stays && unet->stream.segments.empty();
    if (plan.stays) held += unet->stream.bytes();
    plan.stages.push_back(steps);

    auto vae = VaeDecoder::plan(model, height, width, {}, plan.free - held);
    if (held > 0 && (!vae || vae->tiled || !vae->first.stream.segments.empty())) {
        held = 0;
        plan.stays = false;
        vae = VaeDecoder::plan(model, height, width, {}, plan.free);
    }
    if (!vae) return std::move(vae.error());
    MemoryPlan::Stage decode = stage_of("vae", vae->tiled ? vae->second : vae->first);
    decode.peak = held + vae->peak();
    if (vae->tiled) {
        decode.tiles = vae->tiles_y * vae->tiles_x;
        decode.tile_width = request.width / vae->tiles_x;
        decode.tile_height = request.height / vae->tiles_y;
        plan.stays = false;
    }
    plan.stages.push_back(decode);
    for (const MemoryPlan::Stage& stage : plan.stages) plan.peak = std::max(plan.peak, stage.peak);
    return plan;
}

}  // namespace pumice
