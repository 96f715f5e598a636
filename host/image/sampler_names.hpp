// What samplers and schedules are called elsewhere.
#pragma once

#include <string_view>

namespace pumice::host {

struct OtherNames {
    std::string_view ours, web_ui, comfy;
    std::string_view automatic = "normal";  ///< of a sampler: the schedule that the web UI's "Automatic" means for it
};

/// The web UI's modules/sd_samplers_kdiffusion.py and sd_samplers_timesteps.py, ComfyUI's comfy/samplers.py.
inline constexpr OtherNames kSamplerNames[] = {
    {"euler", "Euler", "euler"},
    {"euler_a", "Euler a", "euler_ancestral"},
    {"ddim", "DDIM", "ddim", "ddim"},
    {"heun", "Heun", "heun"},
    {"dpm2", "DPM2", "dpm_2", "karras"},
    {"dpm2_a", "DPM2 a", "dpm_2_ancestral", "karras"},
    {"dpmpp_2s_a", "DPM++ 2S a", "dpmpp_2s_ancestral", "karras"},
    {"dpmpp_sde", "DPM++ SDE", "dpmpp_sde", "karras"},
    {"lcm", "LCM", "lcm"},
    {"restart", "Restart", "restart", "karras"},
    {"dpm_fast", "DPM fast", "dpm_fast"},
    {"dpm_adaptive", "DPM adaptive", "dpm_adaptive"},
    {"dpmpp_2m", "DPM++ 2M", "dpmpp_2m", "karras"},
    {"dpmpp_2m_sde", "DPM++ 2M SDE", "dpmpp_2m_sde", "exponential"},
    {"dpmpp_3m_sde", "DPM++ 3M SDE", "dpmpp_3m_sde", "exponential"},
    {"lms", "LMS", "lms"},
    {"plms", "PLMS", "", "ddim"},
    {"deis", "DEIS", "deis"},
    {"unipc", "UniPC", "uni_pc"},
};

inline constexpr OtherNames kScheduleNames[] = {
    {"normal", "Normal", "normal"},
    {"karras", "Karras", "karras"},
    {"exponential", "Exponential", "exponential"},
    {"simple", "Simple", "simple"},
    {"sgm_uniform", "SGM Uniform", "sgm_uniform"},
    {"ddim", "DDIM", ""},
    {"ddim_uniform", "", "ddim_uniform"},
    {"polyexponential", "Polyexponential", ""},
    {"beta", "Beta", "beta"},
    {"align_your_steps", "Align Your Steps", ""},
    {"kl_optimal", "KL Optimal", "kl_optimal"},
};

}  // namespace pumice::host
