/* The version of the plugin interface these headers describe. ABI.md says what may change and how. */
#ifndef PUMICE_SDK_VERSION_H
#define PUMICE_SDK_VERSION_H

/* Another major: plugins and hosts do not fit together. A host loads every plugin of its own major. */
#define PUMICE_SDK_ABI_MAJOR 1u
/* Grows when extensions or fields are added. A plugin of a later minor asks for what the host may lack, and is told so. */
#define PUMICE_SDK_ABI_MINOR 0u

#endif
