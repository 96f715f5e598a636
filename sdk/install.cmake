# cmake --install: the headers, the CMake package `PumiceSDK` (target Pumice::sdk) and `pumice-sdk.pc`. Their version is
# that of the plugin interface, not of Pumice.
include(CMakePackageConfigHelpers)

file(STRINGS include/pumice/sdk/version.h abi_lines REGEX "PUMICE_SDK_ABI_(MAJOR|MINOR) +[0-9]+u")
string(REGEX MATCH "ABI_MAJOR +([0-9]+)" unused "${abi_lines}")
set(sdk_version ${CMAKE_MATCH_1})
string(REGEX MATCH "ABI_MINOR +([0-9]+)" unused "${abi_lines}")
string(APPEND sdk_version .${CMAKE_MATCH_1})

install(DIRECTORY include/ cpp/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")
set_target_properties(pumice_sdk PROPERTIES EXPORT_NAME sdk)
install(TARGETS pumice_sdk EXPORT PumiceSDKTargets)

set(sdk_package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/PumiceSDK)
install(EXPORT PumiceSDKTargets NAMESPACE Pumice:: DESTINATION ${sdk_package_folder})
configure_package_config_file(PumiceSDKConfig.cmake.in PumiceSDKConfig.cmake INSTALL_DESTINATION ${sdk_package_folder})
write_basic_package_version_file(PumiceSDKConfigVersion.cmake VERSION ${sdk_version} COMPATIBILITY SameMajorVersion
                                 ARCH_INDEPENDENT)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/PumiceSDKConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/PumiceSDKConfigVersion.cmake
        DESTINATION ${sdk_package_folder})

# It finds its prefix from where it lies, so an installed tree can be moved.
file(RELATIVE_PATH PREFIX_FROM_PC ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(pumice-sdk.pc.in pumice-sdk.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/pumice-sdk.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
