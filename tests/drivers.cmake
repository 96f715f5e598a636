# Registers the tests in ctest: those without a device once a folder, those with one once a folder and driver.
#
# Drivers: lavapipe and SwiftShader, software devices that any machine can have. Others join with
#   -DPUMICE_EXTRA_DRIVERS="nvidia=/usr/share/vulkan/icd.d/nvidia_icd.json;lavapipe25=/path/to/lvp_icd.x86_64.json"
option(PUMICE_REQUIRE_DRIVERS "A missing test driver is an error" OFF)
set(PUMICE_EXTRA_DRIVERS "" CACHE STRING "More drivers to test on, as NAME=ICD.json;…")
set(PUMICE_TEST_TIMEOUT 3600 CACHE STRING "Seconds one ctest entry may take")

# The first file that matches one of the patterns, kept in the cache variable `out`.
function(pumice_find_driver out advice)
  if(NOT ${out})
    foreach(pattern IN LISTS ARGN)
      file(GLOB found ${pattern})
      if(found)
        list(GET found 0 first)
        set(${out} ${first} CACHE FILEPATH "Driver manifest for the tests" FORCE)
        return()
      endif()
    endforeach()
    if(PUMICE_REQUIRE_DRIVERS)
      message(FATAL_ERROR "${out}: driver not found; ${advice}")
    endif()
    message(WARNING "${out}: driver not found, its tests are left out; ${advice}")
  endif()
endfunction()

if(PUMICE_DEVICE_TESTS)
  pumice_find_driver(PUMICE_LAVAPIPE_ICD "install mesa-vulkan-drivers or give -DPUMICE_LAVAPIPE_ICD=FILE.json"
    /usr/share/vulkan/icd.d/lvp_icd*.json /usr/local/share/vulkan/icd.d/lvp_icd*.json /etc/vulkan/icd.d/lvp_icd*.json)
  pumice_find_driver(PUMICE_SWIFTSHADER_ICD "install chromium or give -DPUMICE_SWIFTSHADER_ICD=FILE.json"
    /usr/lib/chromium/vk_swiftshader_icd.json /usr/lib/chromium-browser/vk_swiftshader_icd.json
    /usr/lib64/chromium-browser/vk_swiftshader_icd.json /opt/google/chrome/vk_swiftshader_icd.json
    /snap/chromium/current/usr/lib/chromium-browser/vk_swiftshader_icd.json)
endif()

# pumice_drivers: NAME=ICD.json of every driver to test on.
set(pumice_drivers ${PUMICE_EXTRA_DRIVERS})
if(NOT PUMICE_DEVICE_TESTS)
  set(pumice_drivers)
endif()
if(PUMICE_SWIFTSHADER_ICD)
  list(PREPEND pumice_drivers "swiftshader=${PUMICE_SWIFTSHADER_ICD}")
endif()
if(PUMICE_LAVAPIPE_ICD)
  list(PREPEND pumice_drivers "lavapipe=${PUMICE_LAVAPIPE_ICD}")
endif()

# pumice_add_driver_tests(NAME [FIRST] COMMAND …): one ctest entry a driver, named DRIVER/NAME, with the loader sent to that
# driver. FIRST: on the first driver alone, for what needs a device but does not depend on which.
function(pumice_add_driver_tests name)
  cmake_parse_arguments(ARG "FIRST" "" "COMMAND" ${ARGN})
  foreach(driver IN LISTS pumice_drivers)
    string(REGEX MATCH "^([^=]+)=(.+)$" matched "${driver}")
    set(entry "${CMAKE_MATCH_1}/${name}")
    add_test(NAME ${entry} COMMAND ${ARG_COMMAND})
    set_tests_properties(${entry} PROPERTIES LABELS ${CMAKE_MATCH_1} TIMEOUT ${PUMICE_TEST_TIMEOUT}
      ENVIRONMENT "VK_DRIVER_FILES=${CMAKE_MATCH_2};VK_ICD_FILENAMES=${CMAKE_MATCH_2}")
    if(ARG_FIRST)
      break()
    endif()
  endforeach()
endfunction()

# Sets `out` to the folders of the files below tests/, and FILTER_<folder> to the Catch filter that selects their tests.
# Catch tags each test with its file's name (option -#), so that no test is missed for want of a tag.
macro(pumice_group_by_folder out)
  set(${out})
  foreach(file IN ITEMS ${ARGN})
    file(RELATIVE_PATH relative ${CMAKE_CURRENT_SOURCE_DIR} ${file})
    get_filename_component(stem ${relative} NAME_WE)
    get_filename_component(folder ${relative} DIRECTORY)
    if(folder STREQUAL "")
      set(folder repository)
    endif()
    if(NOT folder IN_LIST ${out})
      list(APPEND ${out} ${folder})
      set(FILTER_${folder})
    else()
      string(APPEND FILTER_${folder} ",")
    endif()
    string(APPEND FILTER_${folder} "[#${stem}]~[.]")
  endforeach()
endmacro()

pumice_group_by_folder(folders ${test_files})
foreach(folder IN LISTS folders)
  add_test(NAME unit/${folder} COMMAND pumice_tests "-#" "${FILTER_${folder}}")
  set_tests_properties(unit/${folder} PROPERTIES LABELS unit TIMEOUT ${PUMICE_TEST_TIMEOUT})
endforeach()

pumice_group_by_folder(folders ${device_test_files})
foreach(folder IN LISTS folders)
  pumice_add_driver_tests(${folder} COMMAND pumice_device_tests "-#" "${FILTER_${folder}}")
endforeach()

# Against the reference implementations' numbers, under the validation layer; tests/goldens holds the part kept here.
set(pumice_goldens_options ${CMAKE_CURRENT_SOURCE_DIR}/goldens --validation)
pumice_add_driver_tests(goldens-fp32 COMMAND pumice_goldens ${pumice_goldens_options})
pumice_add_driver_tests(goldens-fp16 COMMAND pumice_goldens ${pumice_goldens_options} --precision fp16)
pumice_add_driver_tests(goldens-exact COMMAND pumice_goldens ${pumice_goldens_options} --precision exact)

# A tiny checkpoint of every family makes pictures.
pumice_add_driver_tests(families COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/pictures/families_test.sh
                                         $<TARGET_FILE:make_checkpoint> $<TARGET_FILE:pumice_cli>)

# The benchmark gives numbers for every operator, and no wrong ones.
pumice_add_driver_tests(bench COMMAND ${CMAKE_COMMAND} -DBENCH=$<TARGET_FILE:pumice_bench> -DSOURCE=${CMAKE_SOURCE_DIR}
  -DWORK=${CMAKE_CURRENT_BINARY_DIR} -P ${CMAKE_SOURCE_DIR}/tools/bench/check.cmake)

# Pairs of sampler and schedule that make a picture: one of seven, which has each sampler and each schedule. All of them:
# sampler_sheet --model FILE.
pumice_add_driver_tests(sampler_pairs FIRST COMMAND sampler_sheet --model ${CMAKE_CURRENT_SOURCE_DIR}/goldens/sd1/sd1_tiny.safetensors
  --every 7)

# Pictures must agree to the byte between drivers.
list(LENGTH pumice_drivers count)
if(count GREATER 1)
  add_test(NAME pictures/exact COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/pictures/exact_test.sh $<TARGET_FILE:pumice_cli>
    ${CMAKE_CURRENT_SOURCE_DIR}/goldens/sd1/sd1_tiny.safetensors ${CMAKE_CURRENT_BINARY_DIR}/exact ${pumice_drivers})
  set_tests_properties(pictures/exact PROPERTIES TIMEOUT ${PUMICE_TEST_TIMEOUT})
endif()
