// What a request takes of the device's memory, before anything is taken: the same planning as when it runs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pipelines/unet_denoiser.hpp"
#include "pipelines/vae_decoder.hpp"

namespace pumice {

struct MemoryPlan {
    std::uint64_t budget = 0;  ///< the limit, or what the device has
    std::uint64_t free = 0;    ///< of it, now
    struct Stage {
        std::string name;             ///< "text_encoder", "unet", "vae"
        std::uint64_t weights = 0;    ///< bytes of all of its weights
        std::uint64_t activations = 0;
        std::uint64_t resident = 0;   ///< of the weights, those that stay while it runs
        std::uint64_t streamed = 0;   ///< brought in by one evaluation
        std::size_t parts = 0;        ///< in as many; 0: none
        std::uint32_t tiles = 0;      ///< 0: whole
        std::uint32_t tile_width = 0, tile_height = 0;  ///< pixels of the picture
        std::uint64_t peak = 0;       ///< bytes on the device while it runs, others' weights included
    };
    std::vector<Stage> stages;
    bool stays = true;         ///< all weights stay for the next picture
    std::uint64_t peak = 0;
};

struct MemoryRequest {
    std::uint32_t width = 512, height = 512;  ///< pixels
    std::uint32_t batch = 1;
    bool guidance = true;
};

/// Code::invalid_argument names the field; Code::out_of_device_memory where no way would do.
Result<MemoryPlan> plan_memory(Model&, const MemoryRequest&);

}  // namespace pumice
