// y = c_skip * x + c_out * (uncond + guidance_scale * (cond - uncond)), or c_skip * x + c_out * cond (GUIDED false).
#version 460
//@axis f32:ACT_F32,EXACT f16:ACT_F16
#include "exact.glsl"
#include "index.glsl"
#include "types.glsl"

layout(constant_id = 0) const bool GUIDED = true;

layout(set = 0, binding = 0, std430) readonly buffer X { vec4 x[]; };
layout(set = 0, binding = 1, std430) readonly buffer Uncond { ACT4 uncond[]; };
layout(set = 0, binding = 2, std430) readonly buffer Cond { ACT4 cond[]; };
layout(set = 0, binding = 3, std430) readonly buffer Params { float params[]; };
layout(set = 0, binding = 4, std430) writeonly buffer Y { vec4 y[]; };
layout(push_constant) uniform Push { uint x_base, uncond_base, cond_base, y_base, quads, params_index; };

void main() {
    const uint i = invocation_index();
    if (i >= quads) return;
    PRECISE float c_skip = params[params_index], c_out = params[params_index + 1];
    PRECISE vec4 model = load4(cond[cond_base + i]);
    if (GUIDED) {
        PRECISE vec4 u = load4(uncond[uncond_base + i]);
        model = u + params[params_index + 2] * (model - u);
    }
    PRECISE vec4 denoised = c_skip * x[x_base + i] + c_out * model;
    y[y_base + i] = denoised;
}
