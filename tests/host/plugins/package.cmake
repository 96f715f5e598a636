# Packages of plugins: a program of its own, quick to build and to run.
file(GLOB package_test_files CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/package*_test.cpp)
pumice_host_program(pumice_package_tests ${package_test_files})
# The tests make zips that Pumice would not make; imported targets are known in their own folder only.
pkg_check_modules(libarchive REQUIRED IMPORTED_TARGET libarchive)
target_link_libraries(pumice_package_tests PRIVATE PkgConfig::libarchive)
add_test(NAME unit/host_packages COMMAND pumice_package_tests)
set_tests_properties(unit/host_packages PROPERTIES LABELS unit TIMEOUT ${PUMICE_TEST_TIMEOUT})
if(PUMICE_SANITIZE)
  # As in tests/plugins: a plugin that crashes on purpose, without the sanitizer's own handler.
  set_tests_properties(unit/host_packages PROPERTIES ENVIRONMENT ASAN_OPTIONS=handle_segv=0)
endif()

# Needs the SDK, and no device.
if(TARGET pumice_sdk)
  add_test(NAME unit/host_new_plugin COMMAND ${CMAKE_CURRENT_LIST_DIR}/package_new_test.sh ${CMAKE_BINARY_DIR}
                                             ${CMAKE_C_COMPILER})
  set_tests_properties(unit/host_new_plugin PROPERTIES LABELS unit TIMEOUT ${PUMICE_TEST_TIMEOUT})
endif()
# The same, and a picture with each.
pumice_add_driver_tests(new_plugin FIRST COMMAND ${CMAKE_CURRENT_LIST_DIR}/package_new_test.sh ${CMAKE_BINARY_DIR}
                                           ${CMAKE_C_COMPILER} ${CMAKE_SOURCE_DIR}/tests/goldens/sd1/sd1_tiny.safetensors)
