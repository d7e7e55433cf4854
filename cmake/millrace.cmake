# Helpers every room's CMakeLists.txt uses.

find_program(CCACHE ccache)
if(CCACHE)
  # Clang's precompiled headers and ccache agree only with these; see limits.md 9.7.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE})
endif()
set(CMAKE_LINKER_TYPE LLD)

add_library(mr_flags INTERFACE)
target_compile_options(mr_flags INTERFACE -Wall -Wextra -Werror -Wno-missing-field-initializers
  -fno-omit-frame-pointer -Xclang -fno-pch-timestamp)
target_link_options(mr_flags INTERFACE -fuse-ld=lld -Wl,--gc-sections -Wl,--as-needed)
target_compile_options(mr_flags INTERFACE -ffunction-sections -fdata-sections)
target_include_directories(mr_flags INTERFACE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)
if(MR_SANITIZE)
  target_compile_options(mr_flags INTERFACE -fsanitize=${MR_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(mr_flags INTERFACE -fsanitize=${MR_SANITIZE})
endif()
if(MR_FUZZ)
  target_compile_options(mr_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# One precompiled header of standard headers that nearly every file wants, shared by all rooms.
add_library(mr_pch STATIC ${CMAKE_SOURCE_DIR}/cmake/pch.cc)
target_link_libraries(mr_pch PUBLIC mr_flags)
target_precompile_headers(mr_pch PRIVATE ${CMAKE_SOURCE_DIR}/cmake/pch.h)
# Hot rooms are optimized in a debug build, too: thousands of simulated histories go through them. -O0 and -O1 cannot
# share a precompiled header.
add_library(mr_hot_pch STATIC EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/cmake/pch.cc)
target_link_libraries(mr_hot_pch PUBLIC mr_flags)
target_compile_options(mr_hot_pch PRIVATE $<$<CONFIG:Debug>:-O1>)
target_precompile_headers(mr_hot_pch PRIVATE ${CMAKE_SOURCE_DIR}/cmake/pch.h)

function(mr_precompile target)
  list(TRANSFORM ARGN PREPEND ${CMAKE_SOURCE_DIR}/src/)
  target_precompile_headers(${target} PRIVATE ${CMAKE_SOURCE_DIR}/cmake/pch.h ${ARGN})
endfunction()

# mr_room(NAME [HOT] SOURCES a.cc ... DEPS room ... LIBS external ... [PCH header ...])
# PCH: what nearly every file of the room includes and takes long, precompiled with the standard headers. Files still
# include what they use.
function(mr_room name)
  cmake_parse_arguments(R "NO_PCH;HOT" "" "SOURCES;DEPS;LIBS;PRIVATE_LIBS;PCH" ${ARGN})
  add_library(mr_${name} STATIC ${R_SOURCES})
  target_link_libraries(mr_${name} PUBLIC mr_flags ${R_LIBS})
  target_link_libraries(mr_${name} PRIVATE ${R_PRIVATE_LIBS})
  foreach(d ${R_DEPS})
    target_link_libraries(mr_${name} PUBLIC mr_${d})
  endforeach()
  if(R_HOT)
    target_compile_options(mr_${name} PRIVATE $<$<CONFIG:Debug>:-O1>)
  endif()
  if(R_PCH)
    mr_precompile(mr_${name} ${R_PCH})
  elseif(R_HOT)
    target_precompile_headers(mr_${name} REUSE_FROM mr_hot_pch)
  elseif(NOT R_NO_PCH)
    target_precompile_headers(mr_${name} REUSE_FROM mr_pch)
  endif()
endfunction()

# mr_test(NAME SOURCES a_test.cc ... DEPS room ... [LABEL unit|sim|...] [PCH header ...]): one GoogleTest binary, one ctest
# entry.
function(mr_test name)
  if(NOT MR_TESTS)
    return()
  endif()
  cmake_parse_arguments(T "" "LABEL" "SOURCES;DEPS;LIBS;PCH" ${ARGN})
  if(NOT T_LABEL)
    set(T_LABEL unit)
  endif()
  find_package(GTest REQUIRED)
  add_executable(${name} ${T_SOURCES})
  target_link_libraries(${name} PRIVATE mr_flags GTest::gmock GTest::gtest GTest::gtest_main ${T_LIBS})
  foreach(d ${T_DEPS})
    target_link_libraries(${name} PRIVATE mr_${d})
  endforeach()
  if(T_PCH)
    mr_precompile(${name} ${T_PCH})
  else()
    target_precompile_headers(${name} REUSE_FROM mr_pch)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS ${T_LABEL} TIMEOUT 300)
endfunction()

if(MR_TESTS)
  enable_testing()
endif()
