// y = x * scale + shift, for the tests of pipelines; `scale` is a specialization constant, `shift` a push constant.
#version 450

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint scale = 1;
layout(set = 0, binding = 0) readonly buffer X { uint x[]; };
layout(set = 0, binding = 1) writeonly buffer Y { uint y[]; };
layout(push_constant) uniform Push {
    uint count;
    uint shift;
};

void main() {
    const uint i = gl_GlobalInvocationID.x;
    if (i < count) y[i] = x[i] * scale + shift;
}
