# How a folder of lib/ becomes part of the program.
#
# Two parts: `core` (no LibTorch, starts in milliseconds) is linked into the executable; `torch` is a shared library that
# base/module.h loads when a run needs it. A folder is one OBJECT library: an archive would drop the files that
# nothing refers to, which is what a plugin is.

add_library(sparsify_flags INTERFACE)
target_include_directories(sparsify_flags INTERFACE ${PROJECT_SOURCE_DIR}/lib)
target_compile_options(sparsify_flags INTERFACE -Wall -Wextra -Wshadow -Werror)
target_link_libraries(sparsify_flags INTERFACE fmt::fmt Threads::Threads)

add_library(sparsify_core INTERFACE)   # all objects without LibTorch
add_library(sparsify_torch_objects INTERFACE)
target_link_libraries(sparsify_core INTERFACE sparsify_flags ${CMAKE_DL_LIBS})
target_link_libraries(sparsify_torch_objects INTERFACE sparsify_flags sparsify_libtorch)

# Two headers are compiled ahead, one a part: LibTorch's alone take 10 s a file. Objects of libraries and programs must then be
# compiled alike, hence -fPIC for both.
set(CMAKE_CXX_COMPILE_OPTIONS_PIE -fPIC)
set(precompiled_core <algorithm> <cmath> <filesystem> <functional> <map> <memory> <optional> <span> <string> <vector>
  <fmt/core.h> <fmt/format.h> <nlohmann/json.hpp>)
set(precompiled_torch ${precompiled_core} <ATen/TensorOperators.h> <ATen/core/Tensor.h> <ATen/core/grad_mode.h>)
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/precompiled.cpp CONTENT "")
foreach(part core torch)
  add_library(sparsify_precompiled_${part} OBJECT ${PROJECT_BINARY_DIR}/precompiled.cpp)
  target_link_libraries(sparsify_precompiled_${part} PRIVATE sparsify_flags)
  target_precompile_headers(sparsify_precompiled_${part} PRIVATE ${precompiled_${part}})
endforeach()
target_link_libraries(sparsify_precompiled_torch PRIVATE sparsify_libtorch)

# sparsify_precompiled(target torch)
function(sparsify_precompiled target part)
  target_precompile_headers(${target} REUSE_FROM sparsify_precompiled_${part})
endfunction()

# sparsify_module(data PART core USES ZLIB::ZLIB TORCH libtorch.cpp): lib/data/**.cpp, with private libraries; the files
# after TORCH belong to the torch part although their folder is core, those after APART to a module of their own.
function(sparsify_module name)
  cmake_parse_arguments(ARG "" "PART" "USES;TORCH;APART" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp)
  foreach(file ${ARG_APART})
    list(REMOVE_ITEM sources ${CMAKE_CURRENT_SOURCE_DIR}/${name}/${file})
  endforeach()
  foreach(file ${ARG_TORCH})
    list(REMOVE_ITEM sources ${CMAKE_CURRENT_SOURCE_DIR}/${name}/${file})
    list(APPEND torch_sources ${CMAKE_CURRENT_SOURCE_DIR}/${name}/${file})
  endforeach()
  if(torch_sources)
    add_library(sparsify_${name}_torch OBJECT ${torch_sources})
    target_link_libraries(sparsify_${name}_torch PRIVATE sparsify_flags sparsify_libtorch ${ARG_USES})
    sparsify_precompiled(sparsify_${name}_torch torch)
    target_sources(sparsify_torch_objects INTERFACE $<TARGET_OBJECTS:sparsify_${name}_torch>)
  endif()
  if(NOT sources)
    return()
  endif()
  add_library(sparsify_${name} OBJECT ${sources})
  target_link_libraries(sparsify_${name} PRIVATE sparsify_flags ${ARG_USES})
  sparsify_precompiled(sparsify_${name} ${ARG_PART})
  if(ARG_PART STREQUAL "torch")
    target_link_libraries(sparsify_${name} PRIVATE sparsify_libtorch)
    target_sources(sparsify_torch_objects INTERFACE $<TARGET_OBJECTS:sparsify_${name}>)
    target_link_libraries(sparsify_torch_objects INTERFACE ${ARG_USES})
  else()
    target_sources(sparsify_core INTERFACE $<TARGET_OBJECTS:sparsify_${name}>)
    target_link_libraries(sparsify_core INTERFACE ${ARG_USES})
  endif()
endfunction()
