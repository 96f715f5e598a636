// Workgroups of 64 in a row, and which element an invocation is for. Grids longer than one dimension of workgroups may
// be go on in y (core/ops/common.hpp: spread, kQuadWorkgroup).
#ifndef PUMICE_INDEX_GLSL
#define PUMICE_INDEX_GLSL

layout(local_size_x = 64) in;

uint workgroup_index() { return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x; }
uint invocation_index() { return workgroup_index() * gl_WorkGroupSize.x + gl_LocalInvocationID.x; }

#endif
